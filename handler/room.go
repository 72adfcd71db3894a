package handler

import (
	"encoding/json"
	"net/http"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// roomDocument is what a client may know of a room (docs/gateway.md, "Who is in a room").
type roomDocument struct {
	Room  string         `json:"room"`
	Peers []peerDocument `json:"peers"`
}

type peerDocument struct {
	Peer string `json:"peer"`
	Type string `json:"type,omitempty"`
}

func documentPeers(peers []engine.Peer) []peerDocument {
	list := make([]peerDocument, len(peers))
	for i, p := range peers {
		list[i] = peerDocument{p.ID, p.Type}
	}
	return list
}

// serveRoom tells who is in a room.
func (h *Handler) serveRoom(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodGet, http.MethodHead)
	if !ok {
		return
	}
	peers := v.room.Peers()
	if peers == nil {
		h.refuse(w, unavailable(engine.ErrClosed))
		return
	}
	respond(w, http.StatusOK, roomDocument{v.room.Name(), documentPeers(peers)})
}

// respond answers with a JSON document.
func respond(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // an error is the client's going away
}
