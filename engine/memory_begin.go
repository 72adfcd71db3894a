package engine

import (
	"context"
	"encoding/json"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// ChangeOp is what is done to a node.
type ChangeOp uint8

// What can be done to a node, as the methods of Memory do.
const (
	ChangePut ChangeOp = iota
	ChangePatch
	ChangeRemove
	ChangeLink
)

// Change is a write to the graph: of Value (ChangePut, ChangePatch) or Target (ChangeLink).
type Change struct {
	Op     ChangeOp
	ID     string
	Target string
	Value  json.RawMessage
	Is     Expect
}

// Begin makes a change; what it returns waits for the disk, and need not be called.
// Changes that are begun one after the other are made in that order.
//
// TODO(lead): this one makes them when they are waited for, see NOTES-6session.md.
func (m *Memory) Begin(_ context.Context, c Change) func(context.Context) (graph.Entry, error) {
	return func(ctx context.Context) (graph.Entry, error) {
		switch c.Op {
		case ChangePut:
			return m.Put(ctx, c.ID, c.Value, c.Is)
		case ChangePatch:
			return m.Patch(ctx, c.ID, c.Value, c.Is)
		case ChangeRemove:
			return m.Remove(ctx, c.ID, c.Is)
		}
		return m.Link(ctx, c.ID, c.Target, c.Is)
	}
}

// AnonymousWrite tells whether those who had to show nothing may change the graph.
//
// TODO(lead): as RoomConfig.AnonymousWrite says.
func (r *Room) AnonymousWrite() bool { return false }
