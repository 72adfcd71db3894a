package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// A peer asks by the highest time that it knows of. It has all that is older, unless
// its last answer was cut off, as others told it meanwhile what is newer than what it
// did not get. trust remembers who has had what.
type trust struct {
	peers *lru.LRU[string, *trusted]
	// Answers of an earlier process may have been cut off; boot is the highest time
	// that the last such one knew of. Zero: there were none.
	boot graph.Timestamp
	// doubted means that it was the process before: who was cut off may have heard since
	// of what is newer than boot.
	doubted bool
	marker  string // the file that tells the next process
}

// maxTrusted is how many peers are remembered. Who was not there for longest is
// forgotten first, and believed.
const maxTrusted = 4_096

// trusted is what is known of a peer.
type trusted struct {
	had  uint64 // the Seq up to which it has had everything; 0: it is not known
	owed bool   // its last answer was cut off
}

// openTrust reads and sets the marker in the folder of a graph. It is empty while
// answers may be cut off; after a good end it says until when earlier ones were.
func openTrust(dir string, last graph.Timestamp) (*trust, error) {
	t := &trust{marker: filepath.Join(dir, "graph.answering"), peers: newLRU[string, *trusted](maxTrusted, nil)}
	switch text, err := os.ReadFile(t.marker); {
	case err == nil:
		if json.Unmarshal(text, &t.boot) != nil {
			t.boot, t.doubted = last, true
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("read who was told what: %w", err)
	}
	if err := os.WriteFile(t.marker, nil, 0o600); err != nil {
		return nil, fmt.Errorf("note that peers are told of the graph: %w", err)
	}
	return t, nil
}

// close takes the marker away, if no answer was cut off, nor was before: such a peer
// may not have been back since.
func (t *trust) close() error {
	for _, r := range t.peers.Values() {
		if r.owed {
			return nil
		}
	}
	if t.boot.IsZero() {
		return os.Remove(t.marker)
	}
	text, err := json.Marshal(t.boot)
	return errors.Join(err, os.WriteFile(t.marker, text, 0o600))
}

func (t *trust) of(peer string) *trusted {
	r, ok := t.peers.Get(peer)
	if !ok {
		r = new(trusted)
		t.peers.Add(peer, r)
	}
	return r
}

// asker is what is known of a peer that asks by at; before is the Seq when its link
// opened.
func (t *trust) asker(peer string, at graph.Timestamp, before uint64) graph.Asker {
	r := t.of(peer)
	if r.owed || t.doubted || at.Compare(t.boot) <= 0 {
		before = 0
	}
	return graph.Asker{Asked: at, Some: answersOnly(peer), Had: r.had, Before: before}
}

// begin notes that a peer is being answered, end that it has had everything up to a
// Seq.
func (t *trust) begin(peer string) { t.of(peer).owed = true }

func (t *trust) end(peer string, had uint64) {
	*t.of(peer) = trusted{had: had}
}

// left notes that a link with a peer that had everything has ended.
func (t *trust) left(peer string, had uint64) {
	if r := t.of(peer); !r.owed && r.had > 0 {
		r.had = had
	}
}
