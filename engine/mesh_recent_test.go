package engine

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// What passed of late is bounded in number, bytes and time, and the newest is kept.
func TestRecentFramesAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	check := func(q *recent, frames int) {
		t.Helper()
		bytes := 0
		for _, f := range q.frames {
			bytes += len(f.frame.Data)
		}
		if len(q.frames) != frames || q.bytes != bytes {
			t.Errorf("%d frames of %d bytes, which are %d; want %d frames", len(q.frames), q.bytes, bytes, frames)
		}
	}
	var many, large, old recent
	for range 2 * maxRecent {
		many.add(&cells.Frame{}, now)
	}
	check(&many, maxRecent)
	for range 10 {
		large.add(&cells.Frame{Data: make(json.RawMessage, maxRecentBytes/4)}, now)
	}
	check(&large, 4)
	large.add(&cells.Frame{Data: make(json.RawMessage, 2*maxRecentBytes)}, now)
	check(&large, 0)
	for range 30 {
		now = now.Add(time.Second)
		old.add(&cells.Frame{Data: json.RawMessage("1")}, now)
	}
	check(&old, int(recentTime/time.Second)+1)
}
