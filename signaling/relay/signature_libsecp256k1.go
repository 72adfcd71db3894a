//go:build libsecp256k1

package relay

import "github.com/nbd-wtf/go-nostr"

// authors checks signatures by the C library, which needs no help.
type authors struct{}

func newAuthors() authors { return authors{} }

// signed tells whether an event is signed by its author (NIP-01, BIP-340).
func (authors) signed(ev *nostr.Event) bool {
	ok, err := ev.CheckSignature()
	return ok && err == nil
}
