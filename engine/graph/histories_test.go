package graph

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fewer makes rapid check 100 times, unless -rapid.checks asks for another number.
func fewer(t *testing.T) {
	f := flag.Lookup("rapid.checks")
	if was := f.Value.String(); was == f.DefValue {
		if err := f.Value.Set("100"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(was) })
	}
}

// TestHistories is the promise: after any history of writes, cut links and restarts,
// once all are linked again, all replicas know the same, which is what the writes make in
// the order of their timestamps.
func TestHistories(t *testing.T) {
	fewer(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, rapid.IntRange(2, 6).Draw(rt, "servers"), 0)
		w.live()
		w.gather()
		w.check(false)
		w.tellAll()
		w.check(true)
	})
}

// TestHistoriesWithPages has pages among them. On writes with distinct timestamps all
// know the same, edges to nodes that were removed aside.
//
// Pages' rules leave them apart over writes of one node that cross: a link that comes
// before an older put of its source keeps the old value under the new timestamp.
// The test finds such nodes; the next write of each must bring them together.
func TestHistoriesWithPages(t *testing.T) {
	fewer(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, rapid.IntRange(1, 3).Draw(rt, "servers"), rapid.IntRange(1, 3).Draw(rt, "pages"))
		w.live()
		w.gather()
		w.check(false)
		w.heal()
		w.check(true)
	})
}

// world is some replicas, linked with each other, and what they did.
type world struct {
	rt      *rapid.T
	ms      int64
	peers   []*peer
	links   map[[2]int][]packet // what is under way on the open ones, by source and destination
	writes  map[string][]write
	torn    map[string]bool // nodes of which writes were applied in another order somewhere
	crossed map[string]bool // nodes of which writes were made without knowing of each other
	removed map[string]bool
	n       int
	limit   int  // of a batch
	large   bool // no state fits a message
	apart   bool // each node has one writer
}

// write is an operation by the replica that made it.
type write struct {
	kind      string
	target    string
	value     string
	timestamp Timestamp
	after     Timestamp // that of the node before
}

// packet is a message on a link. arrived is called when it has been received.
type packet struct {
	data    []byte
	arrived func()
}

// peer is a replica of ours, or a page.
type peer struct {
	*world
	index  int
	skew   int64
	online bool
	page   *vanilla

	store *table
	*Replica
	saved  Replica
	kept   map[string]Entry
	had    map[int]uint64 // lost in a restart
	owed   map[int]int    // answers that have not arrived, by peer
	lost   map[int]bool   // who has not had the whole of one; survives
	opened map[int]int64
	told   map[int]bool // who was answered on its link
	// What to ask whom with: a minute before the last link's end. Lost in a restart.
	asks map[int]Timestamp
	// Whose answer has not come on its link, and up to when nothing is missing.
	awaited  map[int]bool
	complete Timestamp
	base     Timestamp // complete as it was saved
}

func newWorld(rt *rapid.T, servers, pages int) *world {
	w := &world{rt: rt, ms: 1795351032125, links: make(map[[2]int][]packet), writes: make(map[string][]write),
		torn: make(map[string]bool), removed: make(map[string]bool), crossed: make(map[string]bool),
		limit: rapid.SampledFrom([]int{1, 300, 1 << 20}).Draw(rt, "limit"), large: rapid.Bool().Draw(rt, "large"), apart: rapid.Bool().Draw(rt, "apart")}
	for i := range servers + pages {
		p := &peer{world: w, index: i, online: true, owed: make(map[int]int), lost: make(map[int]bool), opened: make(map[int]int64)}
		if i >= servers {
			p.page = newVanilla(rapid.SampledFrom([]int{3, 10, 200}).Draw(rt, "log"), p.now)
			p.page.said = w.applied
		} else {
			p.store = newTable(p.now)
			if pages == 0 {
				p.skew = rapid.Int64Range(-3000, 3000).Draw(rt, "skew")
			}
			p.Replica = NewReplica(p.store, Timestamp{})
			p.save()
			p.restart()
		}
		w.peers = append(w.peers, p)
	}
	return w
}

// now is the peer's clock: where there are pages no two have the same millisecond, so that
// timestamps are distinct.
func (p *peer) now() time.Time {
	if p.skew != 0 || p.page == nil && !slices.ContainsFunc(p.peers, func(q *peer) bool { return q.page != nil }) {
		return time.UnixMilli(p.ms + p.skew)
	}
	return time.UnixMilli(p.ms*8 + int64(p.index))
}

func (p *peer) save() {
	p.kept, p.saved = maps.Clone(p.store.entries), *p.Replica
	if len(p.awaited) == 0 {
		p.complete = p.Last()
	}
	p.base = p.complete
}

func (p *peer) restart() {
	p.store.entries = maps.Clone(p.kept)
	p.Replica = NewReplica(p.store, p.saved.Last())
	p.had = make(map[int]uint64)
	p.asks, p.awaited, p.told = make(map[int]Timestamp), make(map[int]bool), make(map[int]bool)
	p.complete = p.base
}

// live is the history.
func (w *world) live() {
	steps := rapid.IntRange(1, 60).Draw(w.rt, "steps")
	for range steps {
		w.ms += rapid.Int64Range(1, 200).Draw(w.rt, "ms")
		p := w.peers[rapid.IntRange(0, len(w.peers)-1).Draw(w.rt, "who")]
		switch what := rapid.SampledFrom([]string{"put", "put", "put", "remove", "link", "link",
			"deliver", "deliver", "deliver", "deliver", "open", "open", "cut", "leave", "return", "restart", "save", "later"}).Draw(w.rt, "what"); what {
		case "put", "remove", "link":
			p.write(what)
		case "deliver":
			for range rapid.IntRange(1, 12).Draw(w.rt, "packets") {
				w.deliver()
			}
		case "open":
			if q := w.peers[rapid.IntRange(0, len(w.peers)-1).Draw(w.rt, "to whom")]; q != p {
				w.open(p, q)
			}
		case "cut":
			if q := w.peers[rapid.IntRange(0, len(w.peers)-1).Draw(w.rt, "to whom")]; q != p {
				w.cut(p, q)
			}
		case "leave":
			p.leave()
		case "return":
			p.online = true
			for _, q := range w.peers {
				w.open(p, q)
			}
		case "restart":
			w.rt.Logf("%d restart", p.index)
			p.leave()
			if p.page == nil {
				p.restart()
			}
			p.online = true
		case "save":
			if p.page == nil {
				p.save()
			}
		case "later":
			// A link's message is not under way for minutes, nor is one link alone down.
			w.rest()
			w.ms += 600_000
		}
	}
}

// gather brings all together, in any order.
func (w *world) gather() {
	w.rest()
	for _, p := range w.peers {
		p.leave()
	}
	w.ms += 600_000
	for _, p := range w.peers {
		p.online = true
	}
	w.rest()
}

// rest links all who are online, and waits until nothing is under way.
func (w *world) rest() {
	var pairs [][2]int
	for i := range w.peers {
		for j := range i {
			pairs = append(pairs, [2]int{j, i})
		}
	}
	for _, i := range rapid.Permutation(pairs).Draw(w.rt, "links") {
		w.open(w.peers[i[0]], w.peers[i[1]])
		for range rapid.IntRange(0, 3).Draw(w.rt, "packets") {
			w.deliver()
		}
	}
	for n := 0; w.deliver(); n++ {
		w.ms++
		if n > 50_000 {
			w.rt.Fatalf("they talk on and on")
		}
	}
}

// tellAll has all servers tell each other everything, in whole states.
func (w *world) tellAll() {
	w.large = false
	for _, p := range w.peers {
		for _, q := range w.peers {
			if p != q {
				p.send(q.index, EncodeSync(Timestamp{}), nil)
			}
		}
	}
	for w.deliver() {
		w.ms++
	}
}

func (w *world) open(p, q *peer) {
	if p == q || !p.online || !q.online {
		return
	}
	if _, open := w.links[[2]int{p.index, q.index}]; open {
		return
	}
	w.links[[2]int{p.index, q.index}] = []packet{}
	w.links[[2]int{q.index, p.index}] = []packet{}
	for _, p := range [][2]*peer{{p, q}, {q, p}} {
		p[0].linked(p[1].index)
	}
}

func (p *peer) linked(to int) {
	if p.page != nil {
		p.broadcast(p.page.asks())
		return
	}
	p.rt.Logf("%d linked to %d", p.index, to)
	p.opened[to] = p.ms
	t, before := p.asks[to]
	if !before {
		t = minuteBefore(p.base)
	}
	p.awaited[to], p.told[to] = true, false
	p.send(to, EncodeSync(t), nil)
}

func (w *world) cut(p, q *peer) {
	if _, open := w.links[[2]int{p.index, q.index}]; !open {
		return
	}
	delete(w.links, [2]int{p.index, q.index})
	delete(w.links, [2]int{q.index, p.index})
	for _, p := range [][2]*peer{{p, q}, {q, p}} {
		s, to := p[0], p[1].index
		if s.page != nil {
			continue
		}
		if s.owed[to] > 0 {
			s.lost[to], s.owed[to] = true, 0
		}
		if !s.lost[to] && s.told[to] {
			s.had[to] = s.store.seq
		}
		if !s.awaited[to] {
			s.asks[to] = minuteBefore(s.Last())
		}
	}
}

func minuteBefore(t Timestamp) Timestamp { return Timestamp{Physical: max(0, t.Physical-60_000)} }

func (p *peer) leave() {
	p.rt.Logf("%d leave", p.index)
	for _, q := range p.peers {
		if q != p {
			p.cut(p, q)
		}
	}
	p.online = false
}

// deliver delivers the first packet of some link.
func (w *world) deliver() bool {
	var full [][2]int
	for link, packets := range w.links {
		if len(packets) > 0 {
			full = append(full, link)
		}
	}
	if len(full) == 0 {
		return false
	}
	slices.SortFunc(full, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	w.n++
	link := full[0]
	if len(full) > 1 {
		link = full[rapid.IntRange(0, len(full)-1).Draw(w.rt, "link")]
	}
	packet := w.links[link][0]
	w.rt.Logf("%v %s", link, packet.data)
	w.links[link] = w.links[link][1:]
	w.peers[link[1]].receive(link[0], packet.data)
	if packet.arrived != nil {
		packet.arrived()
	}
	return true
}

func (p *peer) send(to int, data []byte, arrived func()) {
	if packets, open := p.links[[2]int{p.index, to}]; open {
		p.links[[2]int{p.index, to}] = append(packets, packet{data, arrived})
	}
}

func (p *peer) broadcast(data []byte) {
	for _, q := range p.peers {
		p.send(q.index, data, nil)
	}
}

func (p *peer) ok(err error) {
	if err != nil {
		p.rt.Fatal(err)
	}
}

func (p *peer) receive(from int, data []byte) {
	if p.page != nil {
		for _, reply := range p.page.receive(data) {
			p.broadcast(reply)
		}
		return
	}
	m, err := Decode(data)
	p.ok(err)
	if m.Bad != 0 {
		p.rt.Fatalf("not understood: %s", data)
	}
	for _, op := range m.Ops {
		p.take(from, op, true)
	}
	before := p.store.seq
	for _, op := range m.Delta {
		p.take(from, op, false)
	}
	if m.Full != nil {
		for _, e := range m.Full.Nodes {
			have := p.store.entries[e.ID]
			if e.Timestamp.After(have.Timestamp) && !p.leads(e.ID, have.Timestamp, e.Timestamp) {
				p.torn[e.ID] = true
			}
		}
		buried, err := p.Merge(m.Full, p.now())
		p.ok(err)
		if len(buried) > 0 {
			p.broadcast(Encode(buried...))
		}
		a, err := Against(p.store.scan, p.store.Entry, m.Full, p.Last())
		p.ok(err)
		p.answer(from, a)
	}
	if p.store.seq > before {
		for _, q := range p.peers {
			if _, open := p.links[[2]int{p.index, q.index}]; open && q.index != from {
				a, err := Since(p.store.scan, p.store.Entry, before, p.Last())
				p.ok(err)
				p.answer(q.index, a)
			}
		}
	}
	if m.Delta != nil || m.Full != nil {
		delete(p.awaited, from)
	}
	if m.Asked != nil {
		asker := Asker{Asked: *m.Asked, Had: p.had[from]}
		if !p.lost[from] && p.owed[from] == 0 {
			asker.Before = uint64(max(0, (p.now().UnixMilli()-p.ms+p.opened[from])*1000-60_000_000))
		}
		a, err := NewAnswer(p.store.scan, p.store.Entry, asker, p.Last())
		p.ok(err)
		p.told[from], p.lost[from] = true, false // it is owed this one
		p.answer(from, a)
		if q := p.peers[from]; a.Empty() && q.page == nil {
			delete(q.awaited, p.index)
		}
		if a.all && !m.Asked.IsZero() {
			p.awaited[from] = true
			p.send(from, EncodeSync(Timestamp{}), nil) // it has what we lack
		}
	}
}

func (p *peer) take(from int, op Op, live bool) {
	have := p.store.entries[op.ID]
	outcome, err := p.Apply(op, p.now(), live)
	p.ok(err)
	switch outcome {
	case Applied:
		if op.Kind == Link && have.Timestamp.After(op.Timestamp) && p.removed[op.ID] {
			p.torn[op.ID] = true // it may be of an earlier node
		}
		p.applied(op.ID, have.Timestamp, op.Timestamp, []string{"", "upsert", "remove", "link"}[op.Kind])
	case Buried:
		removal, ok, err := p.Removal(op.ID)
		p.ok(err)
		if !ok {
			p.rt.Fatalf("%s is not removed", op.ID)
		}
		if removal.Timestamp != have.Timestamp {
			p.wrote(op.ID, write{kind: "remove", timestamp: removal.Timestamp, after: have.Timestamp})
		}
		p.broadcast(Encode(removal))
	case Missing:
		if live {
			p.torn[op.ID] = true
		}
	}
}

func (p *peer) answer(to int, a *Answer) {
	if a.Empty() {
		return
	}
	p.owed[to]++
	done := func() {
		p.owed[to]--
		delete(p.peers[to].awaited, p.index) // as time will tell
	}
	if whole := a.Whole(); whole != nil && !p.large {
		p.send(to, whole, done)
		return
	}
	var batches [][]byte
	for batch, err := range a.Batches(p.limit) {
		p.ok(err)
		if !json.Valid(batch) {
			p.rt.Fatalf("not JSON: %s", batch)
		}
		batches = append(batches, batch)
	}
	for i, batch := range batches {
		if i < len(batches)-1 {
			p.send(to, batch, nil)
		} else {
			p.send(to, batch, done)
		}
	}
}

// node is what a peer knows of a node; nil if it does not exist.
func (p *peer) node(id string) *wireNode {
	if p.page != nil {
		return p.page.nodes[id]
	}
	e, known := p.store.entries[id]
	if !known || e.Removed {
		return nil
	}
	return &wireNode{id, e.Value, e.Edges, &e.Timestamp}
}

var nodeIDs = []string{"a", "b", "c", "d", "e"}

func (p *peer) write(what string) {
	ids := nodeIDs
	if p.apart {
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return int(id[0]-'a')%len(p.peers) != p.index })
		if len(ids) == 0 {
			return
		}
	}
	id := rapid.SampledFrom(ids).Draw(p.rt, "id")
	target := rapid.SampledFrom(nodeIDs).Draw(p.rt, "target")
	n := p.node(id)
	var after Timestamp
	if n != nil {
		after = *n.Timestamp
	} else if p.page == nil {
		after = p.store.entries[id].Timestamp
	} else {
		for _, op := range p.page.log {
			if op.Type == "remove" && op.ID == id {
				after = *op.Timestamp
			}
		}
	}
	if what != "put" && n == nil || what == "link" && p.node(target) == nil {
		return
	}
	if p.page != nil || slices.ContainsFunc(p.peers, func(q *peer) bool { return q.page != nil }) {
		// Distinct timestamps: nobody's clock is behind.
		for _, q := range p.peers {
			g := Timestamp{}
			if q.page != nil {
				g = q.page.clock
			} else {
				g = q.Last()
			}
			for p.now().UnixMilli() <= g.Physical {
				p.ms++
			}
		}
	}
	value := json.RawMessage(fmt.Sprintf(`{"n":%d}`, len(p.writes[id])*100+p.index))
	var op wireOp
	var own Op
	var err error
	switch what {
	case "put":
		if p.page != nil {
			op = p.page.put(id, value)
		} else {
			own, err = p.Put(id, value, p.now())
		}
	case "remove":
		if p.page != nil {
			op = p.page.remove(id)
		} else {
			own, err = p.Remove(id, p.now())
		}
	case "link":
		if p.page != nil {
			op = p.page.link(id, target)
		} else {
			own, err = p.Link(id, target, p.now())
		}
	}
	p.ok(err)
	p.rt.Logf("%d %s %s %s", p.index, what, id, target)
	wr := write{kind: what, target: target, value: string(value), after: after}
	if p.page != nil {
		wr.timestamp = *op.Timestamp
		b, _ := json.Marshal([]wireOp{op})
		p.broadcast(b)
	} else {
		wr.timestamp = own.Timestamp
		p.broadcast(Encode(own))
	}
	p.wrote(id, wr)
}

func (p *peer) wrote(id string, wr write) {
	if p.page == nil {
		p.save() // what is not saved is not acknowledged, and may be lost
	}
	w := p.world
	if wr.kind == "remove" {
		w.removed[id] = true
	}
	for _, other := range w.writes[id] {
		between := func(a, b write) bool { return !b.timestamp.After(a.timestamp) && b.timestamp.After(a.after) }
		if between(wr, other) || between(other, wr) {
			w.crossed[id] = true
		}
	}
	w.writes[id] = append(w.writes[id], wr)
}

// leads tells whether a write after was made came, by way of others, after before.
func (w *world) leads(id string, before, after Timestamp) bool {
	for after.After(before) {
		i := slices.IndexFunc(w.writes[id], func(wr write) bool { return wr.timestamp == after })
		if i < 0 {
			return false
		}
		after = w.writes[id][i].after
	}
	return after == before || before.IsZero()
}

// applied marks nodes of which writes were applied in another order than they were made.
func (w *world) applied(id string, was, is Timestamp, kind string) {
	switch kind {
	case "refused":
		w.torn[id] = true
		return
	case "forgotten":
		// It is for the server to remember removals, but it must have heard of them.
		if slices.ContainsFunc(w.peers, func(p *peer) bool { return p.page == nil && is.After(p.kept[id].Timestamp) }) {
			w.torn[id] = true
		}
		return
	}
	i := slices.IndexFunc(w.writes[id], func(wr write) bool { return wr.timestamp == is })
	if i < 0 {
		return // a part of a node
	}
	if after := w.writes[id][i].after; w.linked(id) && kind != "remove" && was != after &&
		!(was.IsZero() && slices.ContainsFunc(w.writes[id], func(wr write) bool { return wr.kind == "remove" && wr.timestamp == after })) {
		w.torn[id] = true
	}
}

func (w *world) linked(id string) bool {
	return slices.ContainsFunc(w.writes[id], func(wr write) bool { return wr.kind == "link" })
}

// want is what the writes make of a node in the order of their timestamps.
func (w *world) want(id string) *wireNode {
	writes := slices.Clone(w.writes[id])
	slices.SortFunc(writes, func(a, b write) int {
		// Of two at the same time a node wins against a removal, and the greater value.
		rank := map[string]int{"remove": 0, "put": 1, "link": 2}
		return cmp.Or(a.timestamp.Compare(b.timestamp), cmp.Compare(rank[a.kind], rank[b.kind]), cmp.Compare(a.value, b.value))
	})
	var n *wireNode
	for _, wr := range writes {
		switch wr.kind {
		case "put":
			if n == nil {
				n = &wireNode{ID: id}
			}
			n.Value = json.RawMessage(wr.value)
		case "remove":
			n = nil
		case "link":
			if n != nil && !slices.Contains(n.Edges, wr.target) {
				n.Edges = append(n.Edges, wr.target)
			}
		}
		if n != nil {
			n.Timestamp = &wr.timestamp
		}
	}
	return n
}

// check compares what all know, and what they should. Torn nodes are left out, or must be the
// same everywhere.
func (w *world) check(torn bool) {
	for _, id := range nodeIDs {
		if w.crossed[id] && w.linked(id) {
			w.torn[id] = true
		}
		want := w.want(id)
		if w.torn[id] {
			if !torn {
				continue
			}
			want = w.peers[0].node(id)
		}
		for _, p := range w.peers {
			if got := p.node(id); w.show(got) != w.show(want) {
				w.rt.Fatalf("%d (page: %v) has %s: %s, want %s", p.index, p.page != nil, id, w.show(got), w.show(want))
			}
		}
	}
}

func (w *world) show(n *wireNode) string {
	if n == nil {
		return "none"
	}
	edges := slices.DeleteFunc(slices.Sorted(slices.Values(n.Edges)), func(id string) bool { return w.removed[id] })
	return fmt.Sprintf("%s %v %v", n.Value, edges, *n.Timestamp)
}

// heal writes each torn node once more, with all edges that anybody knows.
func (w *world) heal() {
	var p *peer
	for _, q := range w.peers {
		if q.page == nil {
			p = q
		}
	}
	torn := slices.Sorted(maps.Keys(w.torn))
	for _, id := range torn {
		w.ms += 1000
		op, err := p.Put(id, json.RawMessage(`"healed"`), p.now())
		p.ok(err)
		p.broadcast(Encode(op))
	}
	for w.deliver() {
		w.ms++
	}
	for _, id := range torn {
		for _, target := range nodeIDs {
			if p.node(target) != nil && !w.removed[target] && slices.ContainsFunc(w.peers, func(q *peer) bool { return slices.Contains(q.node(id).Edges, target) }) {
				op, err := p.Link(id, target, p.now())
				p.ok(err)
				p.broadcast(Encode(op))
			}
		}
	}
	for w.deliver() {
		w.ms++
	}
}
