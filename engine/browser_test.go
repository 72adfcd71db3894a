package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// page behaves on the wire as a GenosDB page does (docs/protocol.md): it
// announces itself, offers to whom it hears, answers pings, and, unless fixed,
// has the fault of evicting a link because of the end of its predecessor.
type page struct {
	t        *testing.T
	id       string
	endpoint *memnet.Endpoint
	sig      engine.SignalingRoom
	stop     chan struct{}

	mu     sync.Mutex
	links  map[string]*pageLink // that the page knows of
	dials  map[string]*pageLink
	dialed map[string]time.Time
	got    []received
	joins  []string
	leaves []string
	types  map[string]string
	mute   bool // answers no pings
	pings  int
	nonce  map[string]byte
	all    []*pageLink
	closed bool
	hears  func(peer string, m *frame.Message)
}

type received struct {
	from, channel string
	content       engine.Content
}

type pageLink struct {
	page   *page
	peer   string
	half   engine.Link
	asm    *frame.Reassembler
	open   bool
	dialed bool // the offer is the page's
}

const pageAnnounce = 2500 * time.Millisecond

// openPage opens a page in the room of a database. endpoint stands for the page
// load: a reload has another endpoint and the same id.
func openPage(t *testing.T, net *memnet.Network, load, id, database, password string) *page {
	return openPageIn(t, net, load, id, engine.AppRoom(database), password, nil)
}

// openPageIn is openPage for a GenosRTC room. hears is told of links, before anything
// comes by them, and of messages, with a nil one of links; it may call the page.
func openPageIn(t *testing.T, net *memnet.Network, load, id, room, password string, hears func(peer string, m *frame.Message)) *page {
	p := &page{
		t: t, id: id, endpoint: net.Endpoint(load), stop: make(chan struct{}),
		links: map[string]*pageLink{}, dials: map[string]*pageLink{}, dialed: map[string]time.Time{},
		types: map[string]string{}, nonce: map[string]byte{}, hears: hears,
	}
	ready := make(chan struct{})
	sig, err := p.endpoint.Open(room, password, func(s engine.Signal) { <-ready; p.signal(s) })
	if err != nil {
		t.Fatal(err)
	}
	p.sig = sig
	close(ready)
	sig.Host(id)
	go func() {
		for {
			sig.Announce(id, "")
			select {
			case <-time.After(pageAnnounce):
			case <-p.stop:
				return
			}
		}
	}()
	t.Cleanup(p.crash)
	return p
}

func (p *page) signal(s engine.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if s.Type != "" {
		p.types[s.From] = s.Type
	}
	switch s.Kind {
	case engine.Announce:
		if p.links[s.From] == nil && (p.dials[s.From] == nil || time.Since(p.dialed[s.From]) > 87*time.Second) {
			p.dial(s.From)
		}
	case engine.Answer:
		if l := p.dials[s.From]; l != nil && l.dialed {
			go l.half.Accept(context.Background(), s.SDP)
		}
	case engine.Offer:
		if p.links[s.From] != nil || (p.dials[s.From] != nil && p.id > s.From) {
			return
		}
		l := &pageLink{page: p, peer: s.From, asm: frame.NewReassembler(frame.Limits{})}
		half, sdp, err := p.endpoint.Answer(context.Background(), s.SDP, l)
		if err != nil {
			return
		}
		l.half = half
		p.dials[s.From], p.dialed[s.From] = l, time.Now()
		p.all = append(p.all, l)
		p.sig.Answer(s.Relay, p.id, s.From, "", sdp)
	}
}

// dial needs the lock.
func (p *page) dial(peer string) {
	l := &pageLink{page: p, peer: peer, asm: frame.NewReassembler(frame.Limits{}), dialed: true}
	half, sdp, err := p.endpoint.Offer(context.Background(), l)
	if err != nil {
		p.t.Error(err)
		return
	}
	l.half = half
	p.dials[peer], p.dialed[peer] = l, time.Now()
	p.all = append(p.all, l)
	p.sig.Offer("", p.id, peer, "", sdp)
}

func (l *pageLink) LinkOpen() {
	p := l.page
	defer p.told(l.peer, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	l.open = true
	delete(p.dials, l.peer)
	p.links[l.peer] = l
	p.joins = append(p.joins, l.peer)
}

func (l *pageLink) LinkFrame(b []byte) {
	m, _, err := l.asm.Push(b)
	if err != nil {
		l.page.t.Errorf("page %s got a bad frame: %v", l.page.id, err)
		return
	}
	if m == nil {
		return
	}
	p := l.page
	if p.hears != nil && !strings.HasPrefix(m.Channel, "@_") {
		p.told(l.peer, m)
		return
	}
	if _, ok := cells.ParseChannel(m.Channel); ok {
		return // a page without cells has no listener there
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links[l.peer] != l {
		return // evicted: heard, but not listened to
	}
	switch m.Channel {
	case "@_ping":
		p.pings++
		if !p.mute {
			p.sendOn(l, "@_pong", engine.Content{})
		}
	case "@_pong":
	case "@_leave":
		p.drop(l)
	default:
		p.got = append(p.got, received{l.peer, m.Channel, m.Content})
	}
}

func (p *page) told(peer string, m *frame.Message) {
	if p.hears != nil {
		p.hears(peer, m)
	}
}

func (l *pageLink) LinkJunk(engine.Junk) { l.page.t.Error("junk on a link") }
func (l *pageLink) LinkWritable()        {}

func (l *pageLink) LinkClosed(error) {
	p := l.page
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dials[l.peer] == l && !l.open {
		return // reaped by its time
	}
	p.drop(l)
	if p.closed {
		return
	}
	// The fault: the old connection's late events remove the successor.
	for _, d := range []time.Duration{5500 * time.Millisecond, 15700 * time.Millisecond} {
		time.AfterFunc(d, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if now := p.links[l.peer]; now != nil && now != l {
				p.drop(now)
			}
		})
	}
}

// drop forgets a link without closing it, as the real client does. It needs
// the lock.
func (p *page) drop(l *pageLink) {
	if p.links[l.peer] == l {
		delete(p.links, l.peer)
		p.leaves = append(p.leaves, l.peer)
	}
}

// sendOn needs the lock.
func (p *page) sendOn(l *pageLink, channel string, c engine.Content) {
	frames, err := frame.Encode(channel, p.nonce[channel], c)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.nonce[channel]++
	for _, f := range frames {
		l.half.Send(f)
	}
}

// send sends to all peers, or to those named.
func (p *page) send(channel string, c engine.Content, to ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, l := range p.links {
		if len(to) == 0 || slices.Contains(to, id) {
			p.sendOn(l, channel, c)
		}
	}
}

// raw sends bytes on the link with a peer.
func (p *page) raw(peer string, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.links[peer]; l != nil {
		l.half.Send(b)
	} else {
		p.t.Errorf("page %s has no link with %s", p.id, peer)
	}
}

func (p *page) linked(peer string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links[peer] != nil
}

func (p *page) peers() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for id := range p.links {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (p *page) messages() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// leave is what a page does on unload: farewells, a bye, and the end.
func (p *page) leave() {
	p.mu.Lock()
	for _, l := range p.links {
		p.sendOn(l, "@_leave", engine.Content{})
	}
	p.mu.Unlock()
	p.sig.Bye(p.id)
	time.Sleep(10 * time.Millisecond)
	p.crash()
}

func (p *page) setMute(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = on
}

// crash is the page's end without a word; the network tells the other ends.
func (p *page) crash() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	close(p.stop)
	all := p.all
	p.mu.Unlock()
	for _, l := range all {
		l.half.Close()
	}
	p.sig.Close()
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
