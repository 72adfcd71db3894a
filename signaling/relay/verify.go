package relay

import (
	"encoding/hex"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nbd-wtf/go-nostr"
)

// verifier checks signatures, by far the most expensive thing that an event
// demands, and remembers the ids of events whose signature held. A forged copy
// of an event therefore never stands in the way of the real one.
//
// As many signatures are checked at a time as there are cores. Each connection
// waits with one event at most and they are served in turn, so that whoever
// sends many waits more, not the others.
type verifier struct {
	slots   chan struct{}
	checked atomic.Uint64 // signatures
	took    atomic.Int64  // for these, in nanoseconds
	authors authors
	known   *lru.Cache[[32]byte, struct{}]

	mu      sync.Mutex
	flights map[flightKey]*flight
}

// flightKey names an event to the byte: the id is known to be the hash of all
// but the signature.
type flightKey struct{ id, sig string }

// flight is a verification under way.
type flight struct {
	done chan struct{}
	err  error
}

func newVerifier(remembered int) *verifier {
	// The only error is a size that is not positive.
	known, _ := lru.New[[32]byte, struct{}](max(remembered, 1))
	return &verifier{
		slots:   make(chan struct{}, runtime.GOMAXPROCS(0)),
		authors: newAuthors(),
		known:   known,
		flights: map[flightKey]*flight{},
	}
}

// isKnown tells whether an event of this id was accepted before.
func (v *verifier) isKnown(id string) bool { return v.known.Contains(idBytes(id)) }

// remember notes an id. It returns false if it was known.
func (v *verifier) remember(id string) bool {
	known, _ := v.known.ContainsOrAdd(idBytes(id), struct{}{})
	return !known
}

// verify checks the signature of an event whose id is its hash. fresh is true
// for exactly one of several events with the same id.
func (v *verifier) verify(ev *nostr.Event) (fresh bool, err error) {
	key := flightKey{ev.ID, ev.Sig}
	v.mu.Lock()
	if f := v.flights[key]; f != nil {
		v.mu.Unlock()
		<-f.done
		return false, f.err
	}
	f := &flight{done: make(chan struct{})}
	v.flights[key] = f
	v.mu.Unlock()

	v.slots <- struct{}{}
	v.checked.Add(1)
	began := time.Now()
	if !v.authors.signed(ev) {
		f.err = errForged
	}
	v.took.Add(int64(time.Since(began)))
	<-v.slots
	if f.err == nil {
		fresh = v.remember(ev.ID)
	}

	v.mu.Lock()
	delete(v.flights, key)
	v.mu.Unlock()
	close(f.done)
	return fresh, f.err
}

func idBytes(id string) (b [32]byte) {
	hex.Decode(b[:], []byte(id)) // 64 digits: checked, or by ourselves
	return b
}
