package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Of a thousand peers (fewer under the race detector) a tenth leaves in a minute, half
// of those without a word: all others are reached, once, in few hops and copies, by few
// links.
func TestLargeRoom(t *testing.T) {
	c := config{
		peers: testPeers, cell: 10, churn: 0.1, loss: 0.05, seed: 1,
		delay: 50 * time.Millisecond, census: 5 * time.Second, settle: 25 * time.Second, play: 20 * time.Second,
	}
	var r *result
	synctest.Test(t, func(t *testing.T) { r = c.run(t, t.Output()) })
	r.print(t.Output(), t.Output(), 0)
	reach, missed, of := r.reach()
	if missed > 0 || of < c.peers*5 || r.twice > 0 || r.came == 0 {
		t.Errorf("reach %v: %d of %d were missed, %d told twice", reach, missed, of, r.twice)
	}
	copies, hops := r.received()
	if at(copies, 50) > 1 || at(hops, 100) > r.topology.TTL() {
		t.Errorf("%d copies in the median, %d hops at most", at(copies, 50), at(hops, 100))
	}
	// A bridge is linked with its own cell and all cells at distances 1, 2, 4 ...
	most := 0
	for _, id := range r.topology.IDs() {
		most = max(most, len(r.topology.Role(id).Links))
	}
	if at(r.links, 100) > 3*most/2 {
		t.Errorf("%d links at most, where the topology has %d", at(r.links, 100), most)
	}
	if r.sealed == 0 || r.sealed > 12*time.Second || r.linked == 0 || r.linked > 40*time.Second {
		t.Errorf("sealed after %s, linked after %s", r.sealed, r.linked)
	}
	d := xml.NewDecoder(bytes.NewReader(r.draw()))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("the picture: %v", err)
		}
	}
}
