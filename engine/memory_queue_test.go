package engine

import (
	"reflect"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// Of what a peer asks, one after the other, what asks for most is answered.
func TestMemoryAnswersWhatAsksForMost(t *testing.T) {
	early, late := graph.Timestamp{Physical: 1}, graph.Timestamp{Physical: 2}
	everything := question{}
	for name, q := range map[string]struct {
		asked []question
		want  question
	}{
		"everything first": {[]question{everything, {at: graph.Asker{Asked: late}}}, everything},
		"everything last":  {[]question{{at: graph.Asker{Asked: late}}, everything}, everything},
		"earlier first":    {[]question{{at: graph.Asker{Asked: early}}, {at: graph.Asker{Asked: late}}}, question{at: graph.Asker{Asked: early}}},
		"after a change":   {[]question{{since: 7}, {at: graph.Asker{Asked: late}}}, question{at: graph.Asker{Asked: late}}},
		"before a change":  {[]question{everything, {since: 7}}, everything},
		"changes":          {[]question{{since: 8, tail: true}, {since: 7}}, question{since: 7}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Memory{room: &Room{closing: true}, askers: map[*link]*asker{}}
			a := &asker{link: &link{}}
			m.askers[a.link] = a
			for _, q := range q.asked {
				m.queue(a, q)
			}
			if !reflect.DeepEqual(*a.waiting, q.want) {
				t.Errorf("%+v, want %+v", *a.waiting, q.want)
			}
		})
	}
}

// A part of what there is does not answer who asks for everything.
func TestMemoryAnswersEverything(t *testing.T) {
	working := question{at: graph.Asker{Asked: graph.Timestamp{Physical: 1}}}
	m := &Memory{room: &Room{closing: true, node: &Node{clock: SystemClock{}}}, askers: map[*link]*asker{}}
	a := &asker{link: &link{}, working: &working}
	m.askers[a.link] = a
	m.asked(a, graph.Timestamp{})
	if a.waiting == nil || !a.waiting.at.Asked.IsZero() {
		t.Errorf("while a part is on its way: %+v", a.waiting)
	}
}

// Only who had everything on a link has everything when that ends.
func TestMemoryTrust(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a *asker)
		want   uint64
	}{
		"had everything":           {func(*asker) {}, 20},
		"not asked on the link":    {func(a *asker) { a.answered = 0 }, 10},
		"lacks what the disk does": {func(a *asker) { a.short = true }, 10},
		"messages were left":       {func(a *asker) { a.link.unsent = true }, 10},
		"waits for an answer":      {func(a *asker) { a.waiting = &question{} }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			trust, err := openTrust(t.TempDir(), graph.Timestamp{})
			if err != nil {
				t.Fatal(err)
			}
			m := &Memory{trust: trust, askers: map[*link]*asker{}}
			a := &asker{peer: "AAAA", link: &link{pair: &pair{remote: "AAAA"}}, answered: 10}
			m.askers[a.link] = a
			trust.end("AAAA", 10)
			c.change(a)
			m.gone(a, 20)
			if had := trust.of("AAAA").had; had != c.want {
				t.Errorf("it had everything up to %d, want %d", had, c.want)
			}
		})
	}
}
