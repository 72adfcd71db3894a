package engine

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// meshMessage hands a message that came by the mesh to those of our seats that it is
// for.
func (r *Room) meshMessage(l *link, f *cells.Frame) {
	m, ok := f.Message()
	if !ok {
		m = cells.Message{Channel: ChannelMesh, Data: f.Data, All: true}
	}
	if r.syncs != nil {
		if m.Channel == ChannelGraph && (m.All || slices.Contains(m.To, r.server.id)) {
			r.syncs.heardFar(f.Origin, &m)
		}
		return
	}
	if !ValidChannel(m.Channel) {
		r.node.counters.drop("mesh: bad channel name")
		return
	}
	if m.Data == nil { // of undefined nothing is left
		m.Data = json.RawMessage("null")
	}
	in := &frame.Message{Channel: m.Channel, Content: meshContent(m.Data)}
	r.node.counters.messagesIn.Add(1)
	rule := r.rule(m.Channel)
	if err := rule.check(sender{id: f.Origin}, r.now(), &in.Content); err != nil {
		r.node.counters.broken(err)
		if rule.Enforce {
			r.node.counters.drop("message: against a rule")
			return
		}
	}
	if m.All {
		r.stage(&posting{link: l, in: in, mesh: &meshPosting{from: f.Origin, to: toAll}})
		r.toFull(f.Origin, nil, in.Channel, in.Content)
		return
	}
	var listed []string
	done := make(map[string]struct{}) // the list may be long, and name a peer many times
	for _, id := range m.To {
		s := r.local(id)
		if s != nil {
			id = s.id
		}
		if _, twice := done[id]; twice {
			continue
		}
		switch {
		case id == r.server.id:
			r.stage(&posting{link: l, in: in, mesh: &meshPosting{from: f.Origin, to: toServer}})
		case s != nil:
			listed = append(listed, id)
		default:
			continue
		}
		done[id] = struct{}{}
	}
	if listed != nil {
		r.stage(&posting{link: l, in: in, mesh: &meshPosting{from: f.Origin, to: toListed, listed: listed}})
	}
	r.toFull(f.Origin, m.To, in.Channel, in.Content)
}

// meshContent is what a value in a frame says: the text that it was, or its JSON.
func meshContent(data json.RawMessage) Content {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '"' {
		var text string
		if json.Unmarshal(data, &text) == nil {
			return Content{Kind: Text, Data: []byte(text)}
		}
	}
	return Content{Kind: JSON, Data: data}
}

// meshData is meshContent's reverse. It reports false for what the mesh cannot carry.
func meshData(c *Content) (json.RawMessage, bool) {
	switch c.Kind {
	case JSON:
		return c.Data, true
	case Text:
		text, err := json.Marshal(string(c.Data))
		return text, err == nil
	}
	return nil, false
}

// meshPosting is what a posting that came by the mesh has beside its content.
type meshPosting struct {
	from   string
	to     audience
	listed []string // seats, with toListed
}

// receivedMesh passes on a message that came by the mesh.
func (r *Room) receivedMesh(p *posting) {
	m := p.mesh
	msg := &Message{Seq: p.seq, Channel: p.in.Channel, From: m.from, Content: p.in.Content}
	switch m.to {
	case toAll:
		for _, s := range r.seats {
			s.push(msg)
		}
		for s := range r.readers {
			s.push(msg)
		}
	case toServer:
		for s := range r.server.seats {
			s.push(msg)
		}
	default:
		for _, id := range m.listed {
			if s := r.seats[id]; s != nil {
				s.push(msg)
			}
		}
	}
}

// maxMeshResults is how many recipients of a message are named that cannot take it.
const maxMeshResults = 256

// meshSend sends a seat's message to remote peers of a room with cells.
func (r *Room) meshSend(p *posting, d *delivery) {
	s, o := p.seat, &p.out
	data, ok := meshData(&o.Content)
	if ok {
		if o.Channel != ChannelMesh {
			data = cells.AppendMessage(nil, cells.Message{Channel: o.Channel, Data: data, All: true})
		}
		r.originate(s.hosted, &cells.Frame{Kind: cells.KindMsg, Data: data}, r.originOf(s, o, d))
	}
	named := 0
	for id, rem := range r.remotes {
		pair := s.hosted.pairs[id]
		switch {
		case o.Channel == ChannelMesh && (ok || rem.kind == kindFull):
			// It has a frame, or hears none.
		case rem.kind == kindFull || !ok && pair != nil && pair.live != nil && o.Channel != ChannelMesh:
			// Plain frames are heard by all that have a link.
			if pair != nil && pair.known() {
				r.sendToPair(s, pair, o, p.frames, d)
			}
		case !ok && rem.counts(r.now()):
			if named++; named <= maxMeshResults {
				s.push(Result{o.Ref, id, ErrOtherCell})
			}
		}
	}
	if named > maxMeshResults {
		s.push(Result{o.Ref, "", ErrOtherCell})
	}
}

// meshSendTo sends a seat's message to peers of other cells.
func (r *Room) meshSendTo(p *posting, far []string, d *delivery) {
	s, o := p.seat, &p.out
	data, ok := meshData(&o.Content)
	if !ok {
		for _, id := range far {
			s.push(Result{o.Ref, id, ErrOtherCell})
		}
		return
	}
	data = cells.AppendMessage(nil, cells.Message{Channel: o.Channel, Data: data, To: far})
	r.originate(s.hosted, &cells.Frame{Kind: cells.KindMsg, Data: data}, r.originOf(s, o, d))
}

func (r *Room) originOf(s *Seat, o *Outgoing, d *delivery) *origin {
	return &origin{seat: s, ref: o.Ref, progress: o.Progress, redeliver: r.redeliver[o.Channel], delivery: d}
}

// inMesh tells whether a remote peer without a link can be reached through the mesh.
func (r *Room) inMesh(id string) bool {
	if !r.mesh.on {
		return false
	}
	if r.mesh.given != nil {
		return r.mesh.topology != nil && r.mesh.topology.Has(id)
	}
	rem := r.remotes[id]
	return rem != nil && rem.kind != kindFull && rem.counts(r.now())
}
