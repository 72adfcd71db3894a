package engine

import (
	"errors"
	"os"
	"path/filepath"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// A peer asks by the highest time that it knows of, and is taken to have all that is
// older. That is so unless its last answer was cut off: what others told it meanwhile
// is newer than what it did not get. trust remembers whose was.
type trust struct {
	peers *lru.LRU[string, *trusted]
	// Answers of an earlier process may have been cut off by its end; boot is the
	// highest time that it knew of. Zero: there were none.
	boot   graph.Timestamp
	marker string // the file that is there while answers may be cut off
}

// maxTrusted is how many peers are remembered. Who was not there for longest is
// forgotten first, and believed.
const maxTrusted = 4_096

// unknownTime is a time of which nothing is known: who asks by it is told everything.
var unknownTime = graph.Timestamp{Logical: 1}

// trusted is what is known of a peer.
type trusted struct {
	whole bool             // it has had a whole answer of this process
	owed  *graph.Timestamp // its last one was cut off, which began at this time
}

// openTrust reads and sets the marker in the folder of a graph.
func openTrust(dir string, last graph.Timestamp) (*trust, error) {
	t := &trust{marker: filepath.Join(dir, "graph.answering")}
	var err error
	if t.peers, err = lru.NewLRU[string, *trusted](maxTrusted, nil); err != nil {
		panic(err) // the size is a positive constant
	}
	if _, err := os.Stat(t.marker); err == nil {
		t.boot = last
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return t, os.WriteFile(t.marker, nil, 0o600)
}

// close takes the marker away, if no answer was cut off.
func (t *trust) close() error {
	for _, r := range t.peers.Values() {
		if r.owed != nil {
			return nil
		}
	}
	return os.Remove(t.marker)
}

func (t *trust) of(peer string) *trusted {
	r, ok := t.peers.Get(peer)
	if !ok {
		r = new(trusted)
		t.peers.Add(peer, r)
	}
	return r
}

// believed is the time up to which a peer has everything that asks by at.
func (t *trust) believed(peer string, at graph.Timestamp) graph.Timestamp {
	r := t.of(peer)
	switch {
	case at.IsZero():
		return at
	case r.owed != nil && at.After(*r.owed):
		return *r.owed
	case !r.whole && !t.boot.IsZero() && at.Compare(t.boot) <= 0:
		return unknownTime
	}
	return at
}

// begin notes that a peer is being answered; end that it has the answer.
func (t *trust) begin(peer string, q *question) {
	r := t.of(peer)
	switch {
	case r.owed != nil: // what is owed since then
	case q.everything():
		at := q.at
		r.owed = &at
	default:
		r.owed = &unknownTime
	}
}

func (t *trust) end(peer string) {
	r := t.of(peer)
	r.whole, r.owed = true, nil
}
