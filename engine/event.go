package engine

// Event is something that a seat is told. The types of this file that carry
// its method are all there are.
type Event interface {
	// cost is the memory, in bytes, that the event is counted with while it
	// waits in a seat's queue.
	cost() int
}

// eventCost is counted for an event on top of its data.
const eventCost = 128

// Message is a message that arrived for a seat. One Message is shared by all
// the seats that receive it: its fields must not be changed.
type Message struct {
	// Seq is the message's place in the room's journal: it rises, with gaps. 0
	// if the room keeps none, as no seat can be resumed.
	Seq     uint64
	Channel string
	From    string // peer id of the sender
	Content Content
	// History tells that the message was sent before the seat was taken.
	History bool
	// Encodings caches what the session layer makes of the message, so that it
	// is encoded once for each codec, whatever the number of receivers.
	Encodings EncodingCache
}

// Progress tells how much of a message has passed. For one's own message Ref
// is the Outgoing.Ref and Channel is empty, and what has passed is what the
// peer's transport acknowledged; otherwise Channel names the channel on which
// the message of Peer is still arriving.
type Progress struct {
	Ref      uint64
	Channel  string
	Peer     string
	Fraction float64 // 0 to 1, exactly 1 at the end
	Meta     []byte  // JSON, of an arriving message
}

// PeerChange is how a peer's presence changed.
type PeerChange uint8

// A peer joins when a link to it opens and leaves when that ends; it is seen
// and lost in signaling, which may be sooner, or without a link.
const (
	PeerJoin PeerChange = iota + 1
	PeerLeave
	PeerSeen
	PeerLost
)

// Peer is a participant of the room other than the seat itself.
type Peer struct {
	ID   string
	Type string // "superpeer", "session", whatever a remote peer declares, or ""
}

// PeerEvent tells of a change in a peer's presence.
type PeerEvent struct {
	Change PeerChange
	Peer   Peer
	// Encodings is that of Message.Encodings, shared by all who are told.
	Encodings *EncodingCache
}

// Result tells that a message did not reach one recipient; with ErrPeerGone it
// may have, if it was on its way when the link was lost. There is at most one
// for each message and recipient.
type Result struct {
	Ref uint64 // the Outgoing.Ref
	// Peer is the recipient; empty if an earlier process was killed while the
	// message was on its way to links: some of their peers may not have it; or if it
	// concerns many peers of a room with cells.
	Peer string
	Err  error // ErrTooLarge, ErrUnknownPeer, ErrPeerSlow, ErrPeerGone, ErrNotHeard or ErrOtherCell
}

// Pong answers Seat.Ping. Err is ErrUnknownPeer, ErrPeerGone or
// ErrPingTimeout if there was none.
type Pong struct {
	Ref  uint64
	Peer string
	Err  error
}

// Taken tells that everything the seat sent up to Ref is written down and will
// not be taken again. Only seats that can be resumed are told.
type Taken struct {
	Ref uint64
}

// PingRequest asks the seat for a sign of life on behalf of another seat; the
// answer is Seat.Pong with the same token.
type PingRequest struct {
	Token uint64
}

func (m *Message) cost() int  { return eventCost + len(m.Content.Data) + len(m.Content.Meta) }
func (Progress) cost() int    { return eventCost }
func (PeerEvent) cost() int   { return eventCost }
func (Result) cost() int      { return eventCost }
func (Pong) cost() int        { return eventCost }
func (Taken) cost() int       { return 0 }
func (PingRequest) cost() int { return eventCost }

// lasting tells whether a seat is to hear of an event that comes while it has no
// attachment. Messages need not be kept for that: the journal has them.
func lasting(e Event) bool {
	switch e := e.(type) {
	case Result, Pong:
		return true
	case Progress:
		return e.Channel == "" && e.Fraction == 1
	}
	return lastingTransfer(e)
}
