package handler

import (
	"net/url"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// pictureDocument is a room at one moment (docs/gateway.md, "The monitor"). Times are
// milliseconds since 1970, durations milliseconds, sizes bytes.
type pictureDocument struct {
	Room      string             `json:"room"`
	Time      int64              `json:"time"`
	Opened    int64              `json:"opened"`
	Totals    totalsDocument     `json:"totals"`
	Traffic   trafficDocument    `json:"traffic"`
	RoundTrip *roundTripDocument `json:"roundTrip,omitempty"`
	Cells     *cellsPicture      `json:"cells,omitempty"`
	Peers     []peerPicture      `json:"peers"`
	Links     []linkPicture      `json:"links"`
	Transfers []transferPicture  `json:"transfers"`
	Relays    []relayPicture     `json:"relays"`
}

type totalsDocument struct {
	Peers     int `json:"peers"`
	Sessions  int `json:"sessions"`
	Links     int `json:"links"`
	Transfers int `json:"transfers"`
}

type trafficDocument struct {
	Messages      uint64 `json:"messages"`
	MessageBytes  uint64 `json:"messageBytes"`
	TransferBytes uint64 `json:"transferBytes"`
	LinkIn        uint64 `json:"linkIn"`
	LinkOut       uint64 `json:"linkOut"`
}

type roundTripDocument struct {
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

type cellsPicture struct {
	cellsDocument
	Epoch uint64        `json:"epoch"`
	List  []cellPicture `json:"list"`
}

type cellPicture struct {
	Cell   int    `json:"cell"`
	Peers  int    `json:"peers"`
	Bridge string `json:"bridge"`
	Up     []int  `json:"up,omitempty"`
}

// peerPicture: kind is server, session or browser; remote ones are of other machines.
type peerPicture struct {
	Peer    string          `json:"peer"`
	Kind    string          `json:"kind"`
	Remote  bool            `json:"remote,omitempty"`
	Links   int             `json:"links,omitempty"`
	Cell    *int            `json:"cell,omitempty"`
	Bridge  bool            `json:"bridge,omitempty"`
	Session *sessionPicture `json:"session,omitempty"`
}

type sessionPicture struct {
	Identity  string  `json:"identity"`
	Connected bool    `json:"connected"`
	RoundTrip float64 `json:"roundTrip,omitempty"`
	Waiting   int     `json:"waiting,omitempty"`
	UnderWay  int     `json:"underWay,omitempty"`
}

// linkPicture is between two of the peers, by their places in the list.
type linkPicture struct {
	Hosted    int     `json:"hosted"`
	Remote    int     `json:"remote"`
	Open      bool    `json:"open"`
	Age       int64   `json:"age,omitempty"`
	Silence   int64   `json:"silence,omitempty"`
	RoundTrip float64 `json:"roundTrip,omitempty"`
	Waiting   int     `json:"waiting,omitempty"`
	UnderWay  int     `json:"underWay,omitempty"`
	Sent      int64   `json:"sent,omitempty"`
}

type transferPicture struct {
	Transfer   uint64 `json:"transfer"`
	From       string `json:"from"`
	Channel    string `json:"channel"`
	Size       uint64 `json:"size"`
	Done       uint64 `json:"done"`
	Recipients int    `json:"recipients"`
}

// relayPicture names a relay without what its address may hide.
type relayPicture struct {
	Relay string `json:"relay"`
	State string `json:"state"`
	Since int64  `json:"since"`
}

func (h *Handler) documentPicture(room string, p *engine.Picture) pictureDocument {
	doc := pictureDocument{
		Room: room, Time: p.Time.UnixMilli(), Opened: p.Opened.UnixMilli(),
		Totals:  totalsDocument{p.AllPeers, p.AllSeats, p.AllLinks, p.AllTransfers},
		Traffic: trafficDocument(p.Traffic),
		Peers:   make([]peerPicture, len(p.Peers)), Links: make([]linkPicture, len(p.Links)),
		Transfers: make([]transferPicture, len(p.Transfers)), Relays: []relayPicture{},
	}
	if n := len(p.RoundTrips); n > 0 {
		doc.RoundTrip = &roundTripDocument{milliseconds(p.RoundTrips[n/2]), milliseconds(p.RoundTrips[n*95/100])}
	}
	if c := documentCells(p.Mesh); c != nil {
		doc.Cells = &cellsPicture{*c, p.Mesh.Epoch, make([]cellPicture, len(p.Cells))}
		for i, c := range p.Cells {
			doc.Cells.List[i] = cellPicture(c)
		}
	}
	places := make(map[string]int, len(p.Peers))
	for i := range p.Peers {
		places[p.Peers[i].ID] = i
		doc.Peers[i] = documentPeer(&p.Peers[i])
	}
	for i, l := range p.Links {
		doc.Links[i] = linkPicture{
			places[l.Hosted], places[l.Remote], l.Open, l.Age.Milliseconds(), l.Silence.Milliseconds(),
			milliseconds(l.RoundTrip), l.Waiting, l.UnderWay, l.Sent,
		}
	}
	for i, t := range p.Transfers {
		doc.Transfers[i] = transferPicture{t.ID, t.From, t.Channel, t.Size, t.Done, t.Recipients}
	}
	if h.relays != nil {
		for _, r := range h.relays() {
			doc.Relays = append(doc.Relays, relayPicture{relayName(r.URL), string(r.State), r.Since.UnixMilli()})
		}
	}
	return doc
}

func documentPeer(p *engine.PicturePeer) peerPicture {
	doc := peerPicture{Peer: p.ID, Kind: "browser", Remote: p.Remote, Links: p.Linked, Bridge: p.Bridge}
	switch p.Type {
	case engine.TypeServer:
		doc.Kind = "server"
	case engine.TypeSession:
		doc.Kind = "session"
	}
	if p.Cell >= 0 {
		doc.Cell = &p.Cell
	}
	if s := p.Seat; s != nil {
		doc.Session = &sessionPicture{s.Identity.String(), s.Attached, milliseconds(s.RoundTrip), s.Waiting, s.UnderWay}
	}
	return doc
}

// milliseconds has two digits behind the point.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

// relayName is the address of a relay without user, path and query: these may be secrets.
func relayName(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return address
}
