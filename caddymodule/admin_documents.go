package caddymodule

import (
	"net/http"
	"time"

	"github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/signaling"
	"github.com/genosrtc/caddy-genosrtc/signaling/relay"
)

// The documents of the admin API (docs/operations.md). Times are RFC 3339.

type statusDocument struct {
	Draining bool                    `json:"draining"`
	Trouble  []string                `json:"trouble"` // nothing: the server is ready
	Rooms    int                     `json:"rooms"`
	Sessions int                     `json:"sessions"` // with a connection, streams and POSTs included
	Waiting  int                     `json:"waiting"`  // sessions that may be resumed
	Remotes  int                     `json:"remotes"`
	Links    int                     `json:"links"` // opening ones included
	Relays   []signaling.RelayStatus `json:"relays"`
}

func documentStatus(s *genosrtc.Server) statusDocument {
	stats := s.Stats()
	return statusDocument{
		Draining: s.Draining(), Trouble: append([]string{}, s.Trouble()...),
		Rooms: stats.Engine.Rooms, Sessions: stats.Sessions.Sessions, Waiting: stats.Rooms.Waiting,
		Remotes: stats.Rooms.Remotes, Links: stats.Engine.Links, Relays: stats.Relays,
	}
}

type roomDocument struct {
	Room          string `json:"room"`
	Sessions      int    `json:"sessions"`
	Waiting       int    `json:"waiting"`
	Readers       int    `json:"readers"`
	Hosted        int    `json:"hosted"`
	Remotes       int    `json:"remotes"`
	Links         int    `json:"links"`
	Transfers     int    `json:"transfers"`
	TransferBytes int    `json:"transfer_bytes"`
	WaitingBytes  int    `json:"waiting_bytes"`
}

func documentRoom(room *engine.Room) roomDocument {
	s := room.Stats()
	return roomDocument{room.Name(), s.Seats, s.Waiting, s.Readers, s.Hosted, s.Remotes, s.Links, s.Transfers, s.TransferBytes, s.WaitingBytes + s.LinkBytes}
}

func getRooms(s *genosrtc.Server, _ *http.Request) (any, error) {
	list := []roomDocument{}
	for _, room := range s.Rooms() {
		list = append(list, documentRoom(room))
	}
	return list, nil
}

// wholeRoom is a room with all who are in it.
type wholeRoom struct {
	roomDocument
	Members []sessionDocument `json:"members"` // the sessions
	Peers   []peerDocument    `json:"peers"`   // the remote ones
	Cells   *cellsDocument    `json:"cells,omitempty"`
	Graph   *graphDocument    `json:"graph,omitempty"`
}

type cellsDocument struct {
	Epoch  uint64 `json:"epoch"` // seals so far
	Peers  int    `json:"peers"`
	Cells  int    `json:"cells"`
	Size   int    `json:"size"`
	Cell   string `json:"cell"` // of the server's peer
	Bridge bool   `json:"bridge"`
	Mixed  bool   `json:"mixed"` // some peers do not use cells
}

type graphDocument struct {
	Nodes    uint64 `json:"nodes"`
	Removals uint64 `json:"removals"`
	Bytes    uint64 `json:"bytes"`
	FileSize int64  `json:"file_bytes"`
	Staged   int    `json:"staged_bytes"` // that wait for the disk
	Peers    int    `json:"peers"`        // that sync it
	Trouble  string `json:"trouble,omitempty"`
}

func getRoom(s *genosrtc.Server, r *http.Request) (any, error) {
	room, err := s.Room(r.PathValue("room"))
	if err != nil {
		return nil, err
	}
	whole := wholeRoom{roomDocument: documentRoom(room), Members: documentSessions(room), Peers: []peerDocument{}}
	for _, remote := range room.RemoteStates() {
		whole.Peers = append(whole.Peers, documentPeer(remote))
	}
	if c := room.MeshState(); c.Epoch > 0 {
		whole.Cells = &cellsDocument{c.Epoch, c.Peers, c.Cells, c.Size, cells.Name(c.Cell), c.Bridge, c.Mixed}
	}
	if m := room.Memory(); m != nil {
		g := m.Stats()
		whole.Graph = &graphDocument{g.Nodes, g.Removals, g.Bytes, g.FileSize, g.Staged, g.Peers, ""}
		if err := m.Err(); err != nil {
			whole.Graph.Trouble = err.Error()
		}
	}
	return whole, nil
}

type peerDocument struct {
	Peer  string         `json:"peer"`
	Type  string         `json:"type,omitempty"` // as it says itself
	Seen  time.Time      `json:"seen"`
	Links []linkDocument `json:"links"`
}

type linkDocument struct {
	Hosted  string     `json:"hosted"` // the peer of ours at this end
	State   string     `json:"state"`  // open, opening
	Since   *time.Time `json:"since,omitempty"`
	Offer   string     `json:"offer"`           // whose it was: us, peer
	Relay   string     `json:"relay,omitempty"` // that it was agreed by
	Waiting int        `json:"waiting_bytes"`
}

func documentPeer(remote engine.RemoteState) peerDocument {
	d := peerDocument{remote.ID, remote.Type, remote.Seen, []linkDocument{}}
	for _, l := range remote.Links {
		link := linkDocument{Hosted: l.Hosted, State: "opening", Offer: "peer", Relay: l.Relay, Waiting: l.Waiting}
		if l.Open {
			link.State, link.Since = "open", &l.Since
		}
		if l.Dialed {
			link.Offer = "us"
		}
		d.Links = append(d.Links, link)
	}
	return d
}

type sessionDocument struct {
	Room     string     `json:"room"`
	Peer     string     `json:"peer"`
	Mesh     string     `json:"mesh,omitempty"` // the peer that speaks for it, if another
	Identity string     `json:"identity"`
	User     string     `json:"user,omitempty"`
	Address  string     `json:"address,omitempty"` // of IPv6 the network
	State    string     `json:"state"`             // connected, waiting
	Until    *time.Time `json:"until,omitempty"`   // of waiting
}

func documentSessions(room *engine.Room) []sessionDocument {
	list := []sessionDocument{}
	for _, s := range room.SeatStates() {
		d := sessionDocument{Room: room.Name(), Peer: s.Peer, Identity: s.Identity.String(), User: s.User, Address: s.Owner, State: "connected"}
		if s.Mesh != s.Peer {
			d.Mesh = s.Mesh
		}
		if !s.Attached {
			d.State, d.Until = "waiting", &s.Until
		}
		list = append(list, d)
	}
	return list
}

func getSessions(s *genosrtc.Server, _ *http.Request) (any, error) {
	list := []sessionDocument{}
	for _, room := range s.Rooms() {
		list = append(list, documentSessions(room)...)
	}
	return list, nil
}

type relaysDocument struct {
	Relays   []signaling.RelayStatus `json:"relays"`   // the embedded one first, as local
	Embedded relay.Stats             `json:"embedded"` // its totals
}

func getRelays(s *genosrtc.Server, _ *http.Request) (any, error) {
	stats := s.Stats()
	return relaysDocument{stats.Relays, stats.Relay}, nil
}
