package handler

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

const (
	defaultPage = 100
	maxPage     = graph.MaxPage
)

var (
	noGraph = &refusal{reason: "request", status: http.StatusNotFound, detail: "the room keeps no graph: its `memory` is not on"}
	noNode  = &refusal{reason: "request", status: http.StatusNotFound, detail: engine.ErrNoNode.Error()}
	changed = badRequest(http.StatusPreconditionFailed, engine.ErrChanged.Error())

	forbiddenGraph = &refusal{
		reason: "forbidden", status: http.StatusForbidden,
		detail: "the credentials do not allow this on channel " + engine.ChannelGraph + ", which the graph counts as",
	}
	anonymousWrite = &refusal{
		reason: "forbidden", status: http.StatusForbidden,
		detail: "the graph can be written with credentials only, and this room has none: it needs a password, tokens, or `anonymous write`",
	}
)

var errDisk = errors.New("a fault of the server's disk; a change may have been made or not")

// graph returns the room's graph, if a request with this method may have it.
func (v *visit) graph(method string) (*engine.Memory, *refusal) {
	m := v.room.Memory()
	reads := method == http.MethodGet || method == http.MethodHead
	switch {
	case m == nil:
		return nil, noGraph
	case reads && !v.grant.MayRead():
		return nil, forbiddenGraph
	case !reads && !v.grant.MayWrite(m.AnonymousWrite()):
		if v.grant.Anonymous {
			return nil, anonymousWrite
		}
		return nil, forbiddenGraph
	}
	return m, nil
}

// graphError is the refusal of what a graph failed to do. What its disk says is for
// the log.
func (h *Handler) graphError(v *visit, err error) *refusal {
	broken, ok := errors.AsType[*engine.RuleError](err)
	switch {
	case ok:
		return breach(broken)
	case errors.Is(err, engine.ErrNoNode):
		return noNode
	case errors.Is(err, engine.ErrChanged):
		return changed
	case errors.Is(err, engine.ErrNodeID):
		return badRequest(http.StatusBadRequest, engine.ErrNodeID.Error())
	case errors.Is(err, engine.ErrTooLarge):
		return badRequest(http.StatusRequestEntityTooLarge, "the body: "+err.Error())
	case errors.Is(err, engine.ErrGraphFull):
		return &refusal{reason: "room", status: http.StatusInsufficientStorage, detail: engine.ErrGraphFull.Error()}
	case errors.Is(err, graph.ErrOrder), errors.Is(err, graph.ErrCursor):
		return badRequest(http.StatusBadRequest, err.Error())
	case errors.Is(err, engine.ErrClosed):
		return unavailable(engine.ErrClosed)
	case errors.Is(err, context.Canceled): // the client has gone
		return unavailable(context.Canceled)
	}
	h.log.Error("the graph of a room cannot be read or written", "room", v.room.Name(), "error", err)
	return unavailable(errDisk)
}

// serveGraph lists nodes.
func (h *Handler) serveGraph(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodGet, http.MethodHead)
	if !ok {
		return
	}
	m, why := v.graph(r.Method)
	var q *graph.Query
	if why == nil {
		q, why = listed(r)
	}
	if why == nil {
		why = h.list(w, r, v, m, q)
	}
	if why != nil {
		h.refuse(w, why)
	}
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request, v *visit, m *engine.Memory, q *graph.Query) *refusal {
	network := network(h.clientIP(r))
	if why := h.admit(network, v.set.limits); why != nil {
		return why
	}
	defer h.release(network)
	if err := h.lists.Acquire(r.Context(), 1); err != nil {
		return unavailable(err) // the client has gone
	}
	defer h.lists.Release(1)
	page, err := q.Run(func(from string, yield func(graph.Entry) bool) error {
		return m.Scan(r.Context(), from, yield)
	})
	if err != nil {
		return h.graphError(v, err)
	}
	for i, e := range page.Nodes {
		if page.Nodes[i], err = m.Tidy(e); err != nil {
			return h.graphError(v, err)
		}
	}
	respondJSON(w, http.StatusOK, appendPage(nil, page))
	return nil
}

// listed is what a request wants to have listed.
func listed(r *http.Request) (*graph.Query, *refusal) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "the query cannot be read: "+err.Error())
	}
	q := &graph.Query{
		Prefix: query.Get("prefix"), Order: query.Get("order"), Cursor: query.Get("cursor"), Limit: defaultPage,
	}
	if limit := query.Get("limit"); limit != "" {
		n, err := strconv.ParseUint(limit, 10, 32)
		if err != nil || n == 0 {
			return nil, badRequest(http.StatusBadRequest, "limit: it must be a number of nodes, at least 1")
		}
		q.Limit = int(min(n, maxPage))
	}
	var why *refusal
	q.Filter, why = filtered(query)
	return q, why
}

// filtered returns the filter of a query; nil if it has none.
func filtered(query url.Values) (*graph.Filter, *refusal) {
	text := query.Get("filter")
	if text == "" {
		return nil, nil
	}
	f, err := graph.ParseFilter([]byte(text))
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "filter: "+err.Error())
	}
	return f, nil
}
