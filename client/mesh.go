package client

import (
	"context"
	"fmt"
)

// ChannelMesh is the channel of the mesh itself (docs/gateway.md, "mesh"): what is sent
// on it browsers hear by GenosRTC's mesh.on('message'), in rooms of cells and as JSON or
// strings, and what they say by mesh.send comes on it.
const ChannelMesh = "@_mesh"

// MeshState is a place in the cells of a room. In a room without cells, and before the
// first seal that has the peer, it is zero but for Peer.
type MeshState struct {
	Epoch   uint64   `json:"epoch,omitempty"`   // counts the seals
	Peer    string   `json:"-"`                 // whose place it is: see Room.Mesh
	Cell    string   `json:"cellId,omitempty"`  // such as "cell-2"
	Bridge  bool     `json:"isBridge,omitzero"` // whether it bridges its cell with others
	Bridges []string `json:"bridges,omitempty"` // with which
	Size    int      `json:"cellSize,omitempty"`
	Cells   int      `json:"totalCells,omitempty"`
	Known   int      `json:"knownCells,omitempty"` // cells that are not empty
	Peers   int      `json:"totalPeers,omitempty"`
	TTL     int      `json:"dynamicTTL,omitempty"`
	// Mixed means that some browsers of the room use cells and some do not.
	Mixed bool `json:"mixed,omitzero"`
}

// MeshPeer is the place of a peer.
type MeshPeer struct {
	ID      string   `json:"peer"`
	Cell    string   `json:"cellId"`
	Bridge  bool     `json:"isBridge"`
	Bridges []string `json:"bridges"`
}

// rosterCall is a MeshPeers that waits for its answer. Guarded by Room.mu.
type rosterCall struct {
	peers []MeshPeer
	done  chan error // has room for one
}

// MeshState is the place of the peer as which browsers see this client, as it was told
// last; MeshChange tells of another.
func (r *Room) MeshState() MeshState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.place
}

// MeshPeers asks for the places of all peers of the last seal; none in a room without
// cells. It waits while there is no connection.
func (r *Room) MeshPeers(ctx context.Context) ([]MeshPeer, error) {
	select {
	case r.graph.slots <- struct{}{}: // requests of all kinds are bounded together
		defer func() { <-r.graph.slots }()
	case <-r.ctx.Done():
		return nil, r.Err()
	case <-ctx.Done():
		return nil, fmt.Errorf("client: mesh: too many requests are under way: %w", ctx.Err())
	}
	call := &rosterCall{done: make(chan error, 1)}
	r.mu.Lock()
	id := r.graph.next()
	r.rosters[*id] = call
	if r.conn != nil {
		r.conn.post(&frame{Op: opMesh, ID: id})
	}
	r.mu.Unlock()
	select {
	case err := <-call.done:
		return call.peers, err
	case <-r.ctx.Done():
		return nil, r.Err()
	case <-ctx.Done():
		r.mu.Lock()
		delete(r.rosters, *id)
		r.mu.Unlock()
		return nil, fmt.Errorf("client: mesh: %w", ctx.Err())
	}
}

// rostersAgain asks on a new connection what was not answered on those before. Needs
// r.mu.
func (r *Room) rostersAgain() {
	for id, call := range r.rosters {
		call.peers = nil
		r.conn.post(&frame{Op: opMesh, ID: new(id)})
	}
}

// meshFrame handles what the server says of cells.
func (r *Room) meshFrame(f *frame) {
	if f.ID != nil {
		r.rosterFrame(f)
		return
	}
	place := f.MeshState
	place.Peer = f.Peer
	r.mu.Lock()
	r.place = place
	r.mu.Unlock()
	r.notify(MeshChange{place})
}

// rosterFrame handles a part of an answer to MeshPeers, or its refusal. It reports
// whether it was one.
func (r *Room) rosterFrame(f *frame) bool {
	if f.ID == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	call := r.rosters[*f.ID]
	if call == nil {
		return false
	}
	call.peers = append(call.peers, f.Roster...)
	if f.More {
		return true
	}
	delete(r.rosters, *f.ID)
	var err error
	if f.Op == opError {
		err = fmt.Errorf("client: mesh: %s: %s", f.Code, f.Text)
	}
	call.done <- err
	return true
}
