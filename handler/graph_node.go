package handler

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// serveNode reads and changes one node.
func (h *Handler) serveNode(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete)
	if !ok {
		return
	}
	m, why := v.graph(r.Method)
	switch {
	case why != nil:
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		why = h.getNode(w, r, v, m)
	default:
		why = h.changeNode(w, r, v, m)
	}
	if why != nil {
		h.refuse(w, why)
	}
}

// serveEdge links a node to another.
func (h *Handler) serveEdge(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodPut)
	if !ok {
		return
	}
	m, why := v.graph(r.Method)
	if why == nil {
		why = h.changeNode(w, r, v, m)
	}
	if why != nil {
		h.refuse(w, why)
	}
}

func (h *Handler) getNode(w http.ResponseWriter, r *http.Request, v *visit, m *engine.Memory) *refusal {
	e, err := m.Get(r.PathValue("id"))
	if err != nil {
		return h.graphError(v, err)
	}
	tag := etag(e.Timestamp)
	tagged(w.Header(), tag, "private, no-cache")
	if has(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	respondJSON(w, http.StatusOK, appendNode(nil, &e))
	return nil
}

// changeNode makes a change, and answers with the node as it is then.
func (h *Handler) changeNode(w http.ResponseWriter, r *http.Request, v *visit, m *engine.Memory) *refusal {
	c, why := expected(r)
	if why != nil {
		return why
	}
	kinds := bodyKinds(r)
	if why := typed(w, r, kinds); why != nil {
		return why
	}
	network := network(h.clientIP(r))
	c.By = cmp.Or(v.grant.User, network)
	if why := h.admit(network, v.set.limits); why != nil {
		return why
	}
	defer h.release(network)
	var body json.RawMessage
	if kinds != nil {
		if body, why = readJSON(w, r, v.set.limits.Message); why != nil {
			return why
		}
	}
	status := http.StatusOK
	var e graph.Entry
	var err error
	id, target := r.PathValue("id"), r.PathValue("target")
	switch {
	case target != "":
		e, err = m.Link(r.Context(), id, target, c)
	case r.Method == http.MethodPut:
		var made bool
		if e, made, err = put(r, m, id, body, c); made {
			status = http.StatusCreated
			w.Header().Set("Location", r.URL.EscapedPath())
		}
	case r.Method == http.MethodPatch:
		e, err = m.Patch(r.Context(), id, body, c)
	default:
		_, err = m.Remove(r.Context(), id, c)
		status = http.StatusNoContent
	}
	switch {
	case err != nil:
		w.Header().Del("Location")
		return h.graphError(v, err)
	case status == http.StatusNoContent:
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
	default:
		tagged(w.Header(), etag(e.Timestamp), "no-store")
		respondJSON(w, status, appendNode(nil, &e))
	}
	return nil
}

// put sets a node's value, and tells whether it made the node.
func put(r *http.Request, m *engine.Memory, id string, value json.RawMessage, c engine.Change) (e graph.Entry, made bool, err error) {
	if !c.Absent && !c.Exists && c.Timestamp == nil {
		if _, err := m.Get(id); errors.Is(err, engine.ErrNoNode) {
			first := c
			first.Absent = true
			e, err = m.Put(r.Context(), id, value, first)
			if !errors.Is(err, engine.ErrChanged) {
				return e, err == nil, err
			} // somebody else made it meanwhile
		}
	}
	e, err = m.Put(r.Context(), id, value, c)
	if errors.Is(err, engine.ErrNoNode) {
		err = engine.ErrChanged // If-Match does not hold (RFC 9110, section 13.1.1)
	}
	return e, err == nil && c.Absent, err
}

const (
	jsonKind  = "application/json"
	mergeKind = "application/merge-patch+json" // RFC 7396
)

// bodyKinds are the types that the body of a request can have; nil: it has none.
func bodyKinds(r *http.Request) []string {
	switch {
	case r.PathValue("target") != "" || r.Method == http.MethodDelete:
		return nil
	case r.Method == http.MethodPatch:
		return []string{mergeKind, jsonKind}
	}
	return []string{jsonKind}
}

// typed judges what a request says of its body.
func typed(w http.ResponseWriter, r *http.Request, kinds []string) *refusal {
	if kinds == nil {
		return nil
	}
	var m message
	why := unencoded(r)
	if why == nil {
		why = m.typed(r.Header.Get("Content-Type"))
	}
	if why == nil && !slices.Contains(kinds, m.kind) {
		why = badRequest(http.StatusUnsupportedMediaType, "Content-Type: it must be "+strings.Join(kinds, " or "))
	}
	if why != nil {
		accept := "Accept"
		if r.Method == http.MethodPatch {
			accept = "Accept-Patch" // RFC 5789, section 2.2
		}
		w.Header().Set(accept, strings.Join(kinds, ", "))
		w.Header().Set("Accept-Encoding", "identity")
	}
	return why
}

// readJSON reads a body that is a value or a patch of one.
func readJSON(w http.ResponseWriter, r *http.Request, limit int) (json.RawMessage, *refusal) {
	body, why := read(w, r, limit)
	if why != nil {
		return nil, why
	}
	value, err := graph.ReadValue(body)
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "the body: "+err.Error())
	}
	return value, nil
}
