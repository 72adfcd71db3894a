//go:build !libsecp256k1

package relay

import (
	"encoding/hex"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nbd-wtf/go-nostr"
)

// knownKeys is the number of authors whose keys are kept.
const knownKeys = 8_192

// authors are the keys of those who signed before, by their hex. A page signs
// all it says with one key, and to find the point that belongs to it is a
// twelfth of a verification.
type authors struct {
	keys *lru.Cache[string, *btcec.PublicKey]
}

func newAuthors() authors {
	// The only error is a size that is not positive.
	keys, _ := lru.New[string, *btcec.PublicKey](knownKeys)
	return authors{keys}
}

// signed tells whether an event, whose id is known to be its hash, is signed by
// its author (NIP-01, BIP-340).
func (a authors) signed(ev *nostr.Event) bool {
	key, ok := a.keys.Get(ev.PubKey)
	if !ok {
		raw, err := hex.DecodeString(ev.PubKey)
		if err != nil {
			return false
		}
		if key, err = schnorr.ParsePubKey(raw); err != nil {
			return false
		}
	}
	raw, err := hex.DecodeString(ev.Sig)
	if err != nil {
		return false
	}
	sig, err := schnorr.ParseSignature(raw)
	if err != nil {
		return false
	}
	id := idBytes(ev.ID)
	if !sig.Verify(id[:], key) {
		return false
	}
	a.keys.Add(ev.PubKey, key) // only here, so that forgers displace nobody
	return true
}
