package session

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// maxRequests is the number of requests of the graph that may be under way. With
// more, nothing is read of the client.
const maxRequests = 64

// maxAnswers is how many bytes of nodes may wait for the client as answers to its
// changes, if it is more than one. With more, nothing is read of it.
const maxAnswers = 8 << 20

// request is what the client waits for: the answer to the message id. It holds size
// bytes of maxAnswers.
type request struct {
	id   uint64
	size int64
	node func() (graph.Entry, error)
}

// aboutGraph tells whether an operation is one of the client's on the graph.
func aboutGraph(op Op) bool {
	switch op {
	case OpPut, OpPatch, OpRemove, OpLink, OpGet, OpWatch, OpUnwatch:
		return true
	}
	return false
}

// onGraph takes a message about the graph, which err says could not be decoded. It
// reports whether the session goes on.
func (s *session) onGraph(m *Message, err error) bool {
	memory := s.Room.Memory()
	if err == nil {
		err = s.mayGraph(memory, m)
	}
	if err == nil {
		switch m.Op {
		case OpWatch:
			err = s.watch(memory, m)
		case OpUnwatch:
			s.unwatch(m.ID)
		case OpGet:
			id := m.Node
			s.ask(request{m.ID, 0, func() (graph.Entry, error) { return memory.Get(id) }})
		default:
			err = s.change(memory, m)
		}
	}
	if err != nil {
		return s.refuse(asFault(CodeBadMessage, err), 0, m.ID)
	}
	return true
}

// mayGraph judges whether the client may do what it asks for.
func (s *session) mayGraph(memory *engine.Memory, m *Message) error {
	reads := m.Op == OpGet || m.Op == OpWatch || m.Op == OpUnwatch
	switch {
	case reads && !s.grant.MayRead():
		return fault(CodeForbidden, "%s: the credentials do not allow reading the graph", m.Op)
	case memory == nil:
		return fault(CodeNoGraph, "%s: the server keeps no graph of this room", m.Op)
	case !reads && !s.grant.MayWrite(memory.AnonymousWrite()):
		return fault(CodeForbidden, "%s: the credentials do not allow changing the graph", m.Op)
	}
	return nil
}

// change makes a change. It returns when that is made, and the next may come; the
// disk is waited for beside.
func (s *session) change(memory *engine.Memory, m *Message) error {
	c, err := expectation(m.Expect)
	if err != nil {
		return fault(CodeBadMessage, "%s: expect: %v", m.Op, err)
	}
	value, err := nodeValue(m.Content)
	if err != nil {
		return fault(CodeBadData, "%s: data: %v", m.Op, err)
	}
	if n := len(value); n > s.Limits.Message {
		return fault(CodeTooLarge, "%s: data: %d bytes, at most %d", m.Op, n, s.Limits.Message)
	}
	began, done := make(chan int64, 1), make(chan struct{})
	c.By, c.Began = cmp.Or(s.grant.User, s.seat.ID()), func(size int) { began <- int64(size) }
	op, id, target := m.Op, m.Node, m.Target
	var made graph.Entry
	s.tasks.Go(func() {
		defer func() { close(began); close(done) }()
		switch op {
		case OpPut:
			made, err = memory.Put(s.ctx, cmp.Or(id, uuid.NewString()), value, c)
		case OpPatch:
			made, err = memory.Patch(s.ctx, id, value, c)
		case OpRemove:
			made, err = memory.Remove(s.ctx, id, c)
		case OpLink:
			made, err = memory.Link(s.ctx, id, target, c)
		}
	})
	size := min(<-began, maxAnswers) // 0 where it was refused
	s.ask(request{m.ID, size, func() (graph.Entry, error) { <-done; return made, err }})
	return nil
}

// nodeValue is data as the value of a node; nil where there is none.
func nodeValue(c engine.Content) (json.RawMessage, error) {
	switch {
	case c.Data == nil:
		return nil, nil
	case c.Kind == engine.JSON:
		return graph.ReadValue(c.Data)
	case c.Kind == engine.Text:
		return jsontext.AppendQuote(nil, c.Data)
	}
	return nil, errors.New("a node's value cannot be bytes")
}

var errExpect = errors.New(`must be "absent", "exists" or a timestamp, {"physical":…,"logical":…}`)

// expectation reads the field expect.
func expectation(text []byte) (engine.Change, error) {
	switch string(text) {
	case "":
		return engine.Change{}, nil
	case `"absent"`:
		return engine.Change{Absent: true}, nil
	case `"exists"`:
		return engine.Change{Exists: true}, nil
	}
	var t struct {
		Physical *int64
		Logical  *uint64
	}
	if err := json.Unmarshal(text, &t); err != nil || t.Physical == nil || t.Logical == nil {
		return engine.Change{}, errExpect
	}
	return engine.Change{Timestamp: &graph.Timestamp{Physical: *t.Physical, Logical: *t.Logical}}, nil
}

// ask queues a request behind those before. While there are too many, or too much is
// to be answered, it waits.
func (s *session) ask(r request) {
	if s.requests == nil {
		s.requests = make(chan request, maxRequests)
		s.answers = semaphore.NewWeighted(maxAnswers)
		s.tasks.Go(s.answer)
	}
	if s.answers.Acquire(s.ctx, r.size) != nil {
		return
	}
	select {
	case s.requests <- r:
	case <-s.ctx.Done():
	}
}

// answer answers requests, one after the other: what was written before is read, and
// no more than one answer waits for the client.
func (s *session) answer() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case r := <-s.requests:
			e, err := r.node()
			if errors.Is(err, engine.ErrClosed) {
				s.end(seatEnd(err, s.Limits.Pending)) // the client asks again
				return
			}
			m := nodeMessage(r.id, e)
			if err != nil {
				refused := graphFault(err)
				s.Counters.count(refused.Code)
				m = &Message{Op: OpError, Code: refused.Code, Text: refused.Text, ID: r.id}
			}
			s.tell(s.ctx, [][]byte{s.Codec.Encode(m)})
			s.answers.Release(r.size)
		}
	}
}

// graphFault is what the client is told of an error of the graph.
func graphFault(err error) *Error {
	for e, code := range map[error]Code{
		engine.ErrNoNode:    CodeNoNode,
		engine.ErrChanged:   CodeChanged,
		engine.ErrNodeID:    CodeBadNode,
		engine.ErrGraphFull: CodeGraphFull,
		engine.ErrTooLarge:  CodeTooLarge,
	} {
		if errors.Is(err, e) {
			return fault(code, "%v", err)
		}
	}
	if broken, ok := errors.AsType[*engine.RuleError](err); ok {
		return fault(CodeRule, "%v", broken)
	}
	return fault(CodeStorage, "a fault of the server's disk; a change may have been made or not")
}

// nodeMessage is what the client is told of an entry.
func nodeMessage(id uint64, e graph.Entry) *Message {
	m := &Message{Op: OpNode, ID: id, Seq: e.Seq, Node: e.ID, Removed: e.Removed}
	if !e.Timestamp.IsZero() {
		m.Timestamp = fmt.Appendf(nil, `{"physical":%d,"logical":%d}`, e.Timestamp.Physical, e.Timestamp.Logical)
	}
	if !e.Removed {
		m.Content, m.Edges = engine.Content{Kind: engine.JSON, Data: e.Value}, e.Edges
		if m.Edges == nil {
			m.Edges = []string{}
		}
	}
	return m
}
