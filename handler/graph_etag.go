package handler

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// etag is the entity tag (RFC 9110, section 8.8.3) of a node: a later value of it has
// a later timestamp. Edges may come and go without one.
func etag(t graph.Timestamp) string { return `"` + t.String() + `"` }

// tagged gives a response an entity tag. What compresses on the way (Caddy's encode)
// would make another of it, which If-Match does not know.
func tagged(header http.Header, tag, cache string) {
	header.Set("Etag", tag)
	header.Set("Cache-Control", cache+", no-transform")
}

// etags are those that a header lists. One with a comma in it, which is none of ours,
// comes in pieces that match nothing.
func etags(r *http.Request, header string) (list []string) {
	for _, line := range r.Header.Values(header) {
		for tag := range strings.SplitSeq(line, ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				list = append(list, tag)
			}
		}
	}
	return list
}

// expected is what a node must be to be changed (RFC 9110, section 13.1).
func expected(r *http.Request) (c engine.Change, why *refusal) {
	switch tags := etags(r, "If-None-Match"); {
	case slices.Equal(tags, []string{"*"}):
		c.Absent = true
	case len(tags) > 0:
		return c, badRequest(http.StatusBadRequest, "If-None-Match: only * is possible where a node is changed")
	}
	switch tags := etags(r, "If-Match"); {
	case len(tags) > 1:
		return c, badRequest(http.StatusBadRequest, "If-Match: one entity tag, or *, is possible")
	case slices.Equal(tags, []string{"*"}):
		c.Exists = true
	case len(tags) == 1:
		t, ok := parseETag(tags[0])
		if !ok {
			return c, changed // no node has such a tag
		}
		c.Timestamp = &t
	}
	return c, nil
}

// parseETag reads what etag made.
func parseETag(tag string) (t graph.Timestamp, ok bool) {
	text := strings.Trim(tag, `"`)
	i := strings.LastIndexByte(text, '-')
	if i < 0 {
		return t, false
	}
	physical, err1 := strconv.ParseInt(text[:i], 10, 64)
	logical, err2 := strconv.ParseUint(text[i+1:], 10, 64)
	t = graph.Timestamp{Physical: physical, Logical: logical}
	return t, err1 == nil && err2 == nil && etag(t) == tag
}

// has tells whether the client has a node as it is (RFC 9110, section 13.1.2).
func has(r *http.Request, tag string) bool {
	return slices.ContainsFunc(etags(r, "If-None-Match"), func(t string) bool {
		return t == "*" || strings.TrimPrefix(t, "W/") == tag
	})
}
