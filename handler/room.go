package handler

import (
	"encoding/json"
	"net/http"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// roomDocument is what a client may know of a room (docs/gateway.md, "Who is in a room").
type roomDocument struct {
	Room  string         `json:"room"`
	Peers []peerDocument `json:"peers"`
	Cells *cellsDocument `json:"cells,omitempty"` // of a room that has them
}

// cellsDocument is what there is of cells, and the place of the server's peer.
type cellsDocument struct {
	Peers    int    `json:"totalPeers"`
	Size     int    `json:"cellSize"`
	Total    int    `json:"totalCells"`
	Known    int    `json:"knownCells"`
	Cell     string `json:"cellId"`
	IsBridge bool   `json:"isBridge"`
	Mixed    bool   `json:"mixed,omitempty"`
}

func documentCells(s engine.MeshState) *cellsDocument {
	if s.Epoch == 0 {
		return nil
	}
	return &cellsDocument{s.Peers, s.Size, s.Cells, s.Known, cells.Name(s.Cell), s.Bridge, s.Mixed}
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
	respond(w, http.StatusOK, roomDocument{v.room.Name(), documentPeers(peers), documentCells(v.room.MeshState())})
}

// respond answers with a JSON document.
func respond(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document) // an error is the client's going away
}
