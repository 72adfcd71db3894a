package handler

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// appendNode appends what a client is told of a node (docs/gateway.md, "Graph"). The
// value is as it was written: encoding/json would write it anew.
func appendNode(b []byte, e *graph.Entry) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, e.ID)
	b = append(b, `,"value":`...)
	b = append(b, e.Value...)
	b = append(b, `,"edges":[`...)
	for i, edge := range e.Edges {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, edge)
	}
	b = append(b, `],"timestamp":`...)
	return append(appendTimestamp(b, e.Timestamp), '}')
}

// appendRemoved appends what a client is told of a node that is gone.
func appendRemoved(b []byte, e *graph.Entry) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, e.ID)
	b = append(b, `,"timestamp":`...)
	return append(appendTimestamp(b, e.Timestamp), '}')
}

func appendPage(b []byte, page graph.Page) []byte {
	b = append(b, `{"nodes":[`...)
	for i := range page.Nodes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNode(b, &page.Nodes[i])
	}
	b = append(b, ']')
	if page.Cursor != "" {
		b = appendString(append(b, `,"cursor":`...), page.Cursor)
	}
	return append(b, '}')
}

func appendTimestamp(b []byte, t graph.Timestamp) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = strconv.AppendInt(append(b, `{"physical":`...), t.Physical, 10)
	b = strconv.AppendUint(append(b, `,"logical":`...), t.Logical, 10)
	return append(b, '}')
}

// appendString appends a JSON string, with U+FFFD for what is not UTF-8.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// respondJSON answers with JSON text.
func respondJSON(w http.ResponseWriter, status int, text []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // an error is the client's going away
}
