package engine

import (
	"errors"
	"fmt"
)

// Identity says how the mesh sees a seat.
type Identity uint8

const (
	// IdentitySession gives a seat a hosted peer of its own.
	IdentitySession Identity = iota
	// IdentityServer lets a seat speak through the server's one peer.
	IdentityServer
)

func (i Identity) String() string {
	if i == IdentityServer {
		return "server"
	}
	return "session"
}

// Types that our peers declare.
const (
	TypeServer  = "superpeer"
	TypeSession = "session"
)

// Errors of rooms and seats. Results and Pongs carry them too.
var (
	ErrClosed        = errors.New("room closed")
	ErrKicked        = errors.New("was kicked out of the room")
	ErrLeft          = errors.New("seat has left the room")
	ErrSlow          = errors.New("seat reads too slowly")
	ErrStalled       = fmt.Errorf("%w: it acknowledges nothing", ErrSlow)
	ErrResumed       = errors.New("a newer attachment has the seat")
	ErrUnknownSeat   = errors.New("no such seat is known")
	ErrExpired       = errors.New("the seat was without an attachment for too long")
	ErrOverflow      = errors.New("the journal does not hold any more what the seat has missed")
	ErrJournal       = errors.New("the room's journal cannot be written")
	ErrUnknownOffset = errors.New("the journal never had this offset")
	ErrRoomFull      = errors.New("room has no place left")
	ErrChannelName   = errors.New("channel name must be 1 to 12 bytes of UTF-8 and not begin with @_, but for @_mesh")
	ErrTooLarge      = errors.New("message needs more than 100 frames")
	ErrUnknownPeer   = errors.New("no such peer is connected")
	ErrPeerSlow      = errors.New("too much is waiting for this peer already")
	ErrPeerGone      = errors.New("the link to this peer ended")
	ErrPingTimeout   = errors.New("no answer to the ping")
	ErrOtherCell     = errors.New("this peer is in another cell, and takes there JSON and text only")
	ErrNotHeard      = errors.New("this peer does not hear of the channel")
	ErrTooMany       = errors.New("too many requests under way")
)
