package engine

import "github.com/genosrtc/caddy-genosrtc/engine/cells"

// SignalKind is what a signaling message is about.
type SignalKind uint8

// The four signaling messages of GenosRTC (docs/protocol.md, "Signaling").
const (
	Announce SignalKind = iota + 1 // a peer is here
	Bye                            // a peer says it is leaving
	Offer                          // a peer wants a link with one of ours
	Answer                         // a peer takes up an offer of ours
	Census                         // who is there, of all peers at once
)

// Signal is one signaling message that a relay brought.
type Signal struct {
	Kind SignalKind
	// Relay names the relay that brought it. Answers go back through it, since
	// a browser matches an answer by peer and by relay.
	Relay string
	// From is the peer id that the sender claims. Nothing proves it.
	From string
	// To is the hosted peer that is meant; empty for Announce and Bye.
	To string
	// Type is the kind of peer that the sender declares, for example
	// "superpeer"; mostly empty.
	Type string
	// SDP is the decrypted session description of an Offer or Answer.
	SDP string
	// Author is the public key that signed the message, verified. A browser
	// makes a new key at every page load, so that the same peer id with
	// another author is a page that was loaded anew.
	Author string
	// Presence is that of a Census, which has nothing else.
	Presence *Presence
}

// Presence is who is in a room, as a signaling that knows it by itself tells it: it
// stands for the announces of all of them. It is shared by all who are told, and must
// not be changed.
type Presence struct {
	// Topology is that of all peers, for a cell size. It is made once.
	Topology func(size int) *cells.Topology
	// Joined and Left are who came and went since the Presence before.
	Joined, Left []string
}

// Signaling carries announces, offers and answers between peers of a room.
// The server's is a pool of Nostr relays (package signaling); tests and
// simulations use package memnet.
type Signaling interface {
	// Open starts signaling for the GenosRTC room id (for example
	// "app-sync-demo"), sealing session descriptions with password. Every
	// message for the room, or for a hosted peer of it, is handed to deliver.
	// deliver may be called from several goroutines; it may block for the time
	// that the room needs to take the message, and returns at once after Close.
	// Messages that cannot be decrypted or parsed are counted and not delivered.
	Open(room, password string, deliver func(Signal)) (SignalingRoom, error)
}

// SignalingRoom is one room's signaling. No method blocks on the network:
// messages are queued for each relay, within bounds, and are lost with a relay
// that is not connected, as announces will be repeated.
type SignalingRoom interface {
	// Host starts to receive offers and answers for a hosted peer. Announces
	// of hosted peers are not delivered back to the room.
	Host(peer string)
	// Unhost ends what Host began.
	Unhost(peer string)
	// Announce tells the room that a hosted peer is here. It costs nothing
	// while nobody can hear it.
	Announce(peer, typ string)
	// Bye tells the room that a hosted peer is leaving.
	Bye(peer string)
	// Offer sends a session description to a remote peer. With relay "" it
	// goes to all relays.
	Offer(relay, from, to, typ, sdp string)
	// Answer answers an offer that came by relay.
	Answer(relay, from, to, typ, sdp string)
	// Close ends the subscriptions and waits until deliver will not be called
	// again. Messages that were queued before are still sent.
	Close()
}
