package signaling

import (
	"strings"
	"sync"
	"time"
)

// State is where a relay client is in its life.
type State string

const (
	// Connecting: the socket is being opened.
	Connecting State = "connecting"
	// Connected: messages pass.
	Connected State = "connected"
	// Waiting: the socket was lost or could not be opened; it will be tried
	// again.
	Waiting State = "waiting"
	// Left: the relay demands what we do not give, and is not used again.
	Left State = "left"
	// Closed: the pool is closed.
	Closed State = "closed"
)

// RelayStatus is one relay as the pool sees it.
type RelayStatus struct {
	URL   string    `json:"url"` // Config.LocalName for the relay in this process
	State State     `json:"state"`
	Since time.Time `json:"since"` // of State
	// LastError is the last thing that went wrong, or the relay's last
	// complaint; it stays when all is well again.
	LastError string `json:"last_error,omitempty"`
	// LeftReason is set in state Left.
	LeftReason string   `json:"left_reason,omitempty"`
	Counters   Counters `json:"counters"`
}

// Counters count from the start of the process.
type Counters struct {
	Connects uint64 `json:"connects"` // sockets opened
	Sent     uint64 `json:"sent"`     // events handed to the relay
	Lost     uint64 `json:"lost"`     // events not sent: the queue was full, or the socket was gone
	Refused  uint64 `json:"refused"`  // events and subscriptions that the relay refused

	Received   uint64 `json:"received"`   // events
	Delivered  uint64 `json:"delivered"`  // events handed to a room
	Duplicates uint64 `json:"duplicates"` // events that came before, by this relay or another
	Stale      uint64 `json:"stale"`      // stored events older than a minute
	Odd        uint64 `json:"odd"`        // events that are no signaling messages
	Sealed     uint64 `json:"sealed"`     // events that the room's password does not open
	Forged     uint64 `json:"forged"`     // events whose id or signature is wrong
	Claimed    uint64 `json:"claimed"`    // events of strangers in the name of a hosted peer
	Overflow   uint64 `json:"overflow"`   // signals lost because the room fell behind
	Junk       uint64 `json:"junk"`       // messages that are not Nostr, too long, or not asked for
}

// Stats counts what happens before a message reaches any relay.
type Stats struct {
	Unheard uint64 `json:"unheard"` // messages not signed, as no relay had an audience for them
	Lost    uint64 `json:"lost"`    // messages lost because signing fell behind, or the pool was closed
	Failed  uint64 `json:"failed"`  // messages that could not be made, such as a too long description
}

// record is the status of one relay, kept by its client.
type record struct {
	mu     sync.Mutex
	status RelayStatus
}

func (r *record) snapshot() RelayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// count changes the counters.
func (r *record) count(f func(*Counters)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.status.Counters)
}

// enter changes the state.
func (r *record) enter(s State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.State, r.status.Since = s, time.Now()
}

// giveUp is the last state of a relay that demands what we do not give.
func (r *record) giveUp(d demand) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.State, r.status.Since = Left, time.Now()
	r.status.LeftReason, r.status.LastError = d.wants, clip(d.text)
}

// complain keeps what went wrong. The text may be the relay's: it is cut to a
// sane length.
func (r *record) complain(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.LastError = clip(text)
}

func clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), 256)], "?")
}
