package client

// Event is something that happened beside messages: a Joined, Resumed, Lost,
// Offline, PeerEvent, MeshChange, Result, Progress, Refused or Unreadable.
type Event interface{ event() }

// Joined says that a new session began, after which its first messages come.
type Joined struct{ Peer string }

// Resumed says that the session goes on over a new connection.
type Resumed struct{}

// Lost says that the server does not have the session any more, and why
// ("expired", "overflow", "left", "unknown"; docs/gateway.md, "hello and
// welcome"). A Joined follows: the room goes on with a new session, a new peer
// id and, if Options.History asks for it, the room's recent messages. Messages
// may be missing. Sends that were not acknowledged are sent again in the new
// session; those with a seq from First to Last had been written before, so that
// they may arrive twice. First is 0 if there are none. Transfers failed with
// ErrLost.
type Lost struct {
	Reason      string
	First, Last uint64
}

// Offline says that the connection ended or could not be made, and why.
type Offline struct{ Err error }

// PeerEvent is a peer that came or went: Event is "join", "leave", "seen" or
// "lost" (docs/gateway.md, "peer"). What happens while the session is offline
// is not told; Room.Peers is right after a Joined or Resumed.
type PeerEvent struct {
	Event string
	Peer
}

// MeshChange is another place in the cells of the room, after a seal; or, with an Epoch
// of 0, none any more.
type MeshChange struct{ MeshState }

// Result says that one recipient was not reached by a send (Seq) or a transfer
// (Transfer), and why: "too_large", "unknown_peer", "slow", "gone", "other_cell",
// "refused", "corrupt". Message is for people.
type Result struct {
	Seq      uint64
	Transfer uint64
	Peer     string
	Error    string
	Message  string
}

// Progress tells how much of a send (Seq), of a transfer (Transfer), or of a
// message that is arriving from a browser (neither; Channel, Meta) has reached
// the other side. Fraction rises to exactly 1.
type Progress struct {
	Seq      uint64
	Transfer uint64
	Channel  string
	Peer     string
	Meta     any
	Fraction float64
}

// Refused is an error message of the server that does not end the session
// (docs/gateway.md, "error"). Seq is that of the send that was not taken, or 0;
// Transfer and From name the transfer that it is about, if it is about one.
type Refused struct {
	Seq      uint64
	Transfer uint64
	From     string
	Code     string
	Text     string
}

// Unreadable is a message on an encrypted channel that was dropped, since it is
// not encrypted, or by another passphrase, or was changed on the way, or repeated
// under another name. Receive goes on with the next one.
type Unreadable struct {
	Seq     uint64
	Channel string
	From    string
	Err     error
}

func (Joined) event()     {}
func (Resumed) event()    {}
func (Lost) event()       {}
func (Offline) event()    {}
func (PeerEvent) event()  {}
func (MeshChange) event() {}
func (Result) event()     {}
func (Progress) event()   {}
func (Refused) event()    {}
func (Unreadable) event() {}
