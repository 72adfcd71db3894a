package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// cellPage is a page that uses cells, as far as one that never seals: it answers pings
// of the mesh on the channel of cell 0, and hears what comes on it.
type cellPage struct {
	*page
	t     *testing.T
	seq   uint64
	ready chan struct{}
	seen  cells.Seen
	heard []string // of mesh frames and plain ones
}

func openCellPage(t *testing.T, net *memnet.Network, id string) *cellPage {
	p := &cellPage{t: t, ready: make(chan struct{})}
	p.page = openPageIn(t, net, id, id, engine.AppRoom("demo"), "", p.hear)
	close(p.ready)
	return p
}

func (p *cellPage) hear(peer string, m *frame.Message) {
	if m == nil {
		return
	}
	<-p.ready
	if _, ok := cells.ParseChannel(m.Channel); !ok {
		p.note(fmt.Sprintf("plain from %s: %s", peer, m.Content.Data))
		return
	}
	f, err := cells.Decode(m.Content.Data)
	if err != nil {
		p.t.Errorf("page %s got %s: %v", p.id, m.Content.Data, err)
		return
	}
	if ping, ok := f.Ping(); ok && f.Kind == cells.KindPing && ping.Target == p.id {
		p.say(cells.KindPong, cells.AppendPong(nil, cells.Pong{ID: ping.ID, At: 1}))
	}
	p.mu.Lock()
	fresh := p.seen.Add(f.ID)
	p.mu.Unlock()
	if msg, ok := f.Message(); ok && fresh && f.Kind == cells.KindMsg {
		for _, to := range msg.To {
			msg.All = msg.All || to == p.id
		}
		if msg.All {
			p.note(fmt.Sprintf("mesh from %s: %s", f.Origin, msg.Data))
		}
	}
}

func (p *cellPage) note(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, s)
}

func (p *cellPage) hears(s string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.heard {
		if h == s {
			n++
		}
	}
	return n
}

func (p *cellPage) say(kind string, data []byte) {
	p.seq++
	f := cells.Frame{Kind: kind, ID: cells.NewID(p.id, time.Now(), p.seq), TTL: 5, Data: data, Origin: p.id}
	p.send("c0", engine.Content{Kind: engine.Text, Data: f.Append(nil)})
}

func (p *cellPage) chat(s string) {
	p.say(cells.KindMsg, cells.AppendMessage(nil, cells.Message{Channel: "chat", Data: []byte(`"` + s + `"`), All: true}))
}

// That a room has cells is learned from a page that has said nothing yet, and that some
// pages have none. What each says reaches everybody once.
func TestRoomOfBothKinds(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{CellSize: 50}, engine.Limits{})
		seats := []*client{join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{Identity: engine.IdentityServer})}
		full := []*page{openPage(t, net, "f", "FFFF", "demo", ""), openPage(t, net, "g", "GGGG", "demo", "")}
		settle(20 * time.Second)
		if state := seats[0].MeshState(); state.Epoch != 0 || state.Mixed {
			t.Errorf("without pages that use cells: %+v", state)
		}
		cell := []*cellPage{openCellPage(t, net, "CCCC"), openCellPage(t, net, "DDDD")}
		settle(20 * time.Second)
		if state := seats[0].MeshState(); !state.Mixed || state.Peers != 6 || state.Cells != 1 {
			t.Errorf("with some that use cells: %+v", state)
		}

		cell[0].chat("from a cell")
		full[0].send("chat", text("from a full one"))
		seats[0].send("chat", text("from a seat"))
		settle(2 * time.Second)
		for _, s := range seats {
			heard := map[string]int{}
			for _, m := range of[*engine.Message](s) {
				heard[m.From+": "+string(m.Content.Data)]++
			}
			want := map[string]int{"CCCC: from a cell": 1, "FFFF: from a full one": 1}
			if s != seats[0] {
				want[seats[0].ID()+": from a seat"] = 1
			}
			if fmt.Sprint(heard) != fmt.Sprint(want) {
				t.Errorf("a seat heard %v, want %v", heard, want)
			}
		}
		for _, p := range full {
			heard := map[string]int{}
			for _, m := range p.messages() {
				heard[m.from+": "+string(m.content.Data)]++
			}
			want := map[string]int{serverID(seats[0]) + ": from a cell": 1, seats[0].ID() + ": from a seat": 1}
			if p != full[0] {
				want["FFFF: from a full one"] = 1
			}
			if fmt.Sprint(heard) != fmt.Sprint(want) {
				t.Errorf("page %s heard %v, want %v", p.id, heard, want)
			}
		}
		for i, p := range cell {
			want := []string{"plain from FFFF: from a full one", `mesh from ` + seats[0].ID() + `: "from a seat"`}
			if i > 0 {
				want = append(want, `mesh from CCCC: "from a cell"`)
			}
			for _, w := range want {
				if n := p.hears(w); n != 1 {
					t.Errorf("page %s heard %q %d times: %q", p.id, w, n, p.heard)
				}
			}
		}

		for _, p := range cell {
			p.leave()
		}
		settle(3 * time.Minute)
		if state := seats[0].MeshState(); state.Epoch != 0 || state.Mixed {
			t.Errorf("after those that use cells have left: %+v", state)
		}
		full[0].send("chat", text("again"))
		seats[0].send("chat", text("back"))
		settle(time.Second)
		if m := full[1].messages(); len(m) < 2 || string(m[len(m)-1].content.Data) != "back" && string(m[len(m)-2].content.Data) != "back" {
			t.Error("a page without cells does not hear a seat any more")
		}
	})
}

// Somebody without cells may speak between the moment that the first peer with cells is
// heard, and the first seal.
func TestMixedBeforeTheFirstSeal(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		seat := join(t, room, engine.SeatConfig{})
		full := openPage(t, net, "f", "FFFF", "demo", "")
		settle(20 * time.Second)
		cell := openCellPage(t, net, "CCCC")
		for !seat.MeshState().Mixed {
			settle(10 * time.Millisecond)
		}
		full.send("chat", text("early"))
		settle(100 * time.Millisecond)
		if state := seat.MeshState(); state.Epoch != 0 {
			t.Fatalf("sealed already: %+v", state)
		}
		if got := of[*engine.Message](seat); len(got) != 1 {
			t.Errorf("the seat heard %d messages", len(got))
		}
		if n := cell.hears("plain from FFFF: early"); n != 1 {
			t.Errorf("the page with cells heard it %d times: %q", n, cell.heard)
		}
	})
}

// A page's id may begin as those of servers do.
func TestKindOfAPageLikeAServer(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		seat := join(t, room, engine.SeatConfig{Identity: engine.IdentityServer})
		full := openPage(t, net, "f", "0FFF", "demo", "")
		cell := openCellPage(t, net, "0CCC")
		settle(20 * time.Second)
		if state := seat.MeshState(); !state.Mixed {
			t.Errorf("%+v", state)
		}
		cell.chat("from a cell")
		settle(time.Second)
		if got := full.messages(); len(got) != 1 || string(got[0].content.Data) != "from a cell" {
			t.Errorf("the page without cells got %d messages", len(got))
		}
	})
}

// What a page without cells says is carried to those with cells that have no link with
// it, and to no others. These pages pass nothing on: who has no link with the server hears
// nothing.
func TestCarriedIntoCells(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{CellSize: 1}, engine.Limits{})
		full := openPage(t, net, "f", "FFFF", "demo", "")
		var pages []*cellPage
		for i := range 12 {
			pages = append(pages, openCellPage(t, net, fmt.Sprint("page", i)))
		}
		settle(30 * time.Second)
		topology := cells.New(1)
		for _, p := range room.MeshPeers() {
			topology.Add(p.ID)
		}
		role, far := topology.Role(full.id), 0
		server := topology.Role(room.MeshState().Peer)
		for _, p := range pages { // as pages do that seal
			if !role.Keeps(p.id) {
				p.mu.Lock()
				full.mu.Lock()
				delete(p.links, full.id)
				delete(full.links, p.id)
				full.mu.Unlock()
				p.mu.Unlock()
				far++
			}
		}
		if far == 0 || far == len(pages) {
			t.Fatalf("%d of %d pages have no place beside it", far, len(pages))
		}
		full.send("chat", text("hello"))
		full.send("chat", engine.Content{Kind: engine.Binary, Data: []byte{1}})
		settle(2 * time.Second)
		for _, p := range pages {
			plain, mesh := p.hears("plain from FFFF: hello"), p.hears(`mesh from FFFF: "hello"`)
			near, reached := role.Keeps(p.id), server.Keeps(p.id)
			if near && (plain != 1 || mesh != 0) || !near && (plain != 0 || mesh > 1 || reached && mesh != 1) {
				t.Errorf("page %s, beside it: %t, heard it %d times from itself and %d times through the mesh: %q", p.id, near, plain, mesh, p.heard)
			}
		}
	})
}
