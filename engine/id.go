package engine

import "crypto/rand"

const (
	idLength   = 20
	idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// MaxPeerID is the length of a peer id, in bytes. Browsers use 20 characters;
	// other lengths and characters are legal.
	MaxPeerID = 64
)

// newPeerID makes the id of a hosted peer. It begins with "0", the lowest
// character, because in a glare the greater id stays the offerer: that is then
// always the browser, and we need only one open port (docs/protocol.md, "Who
// dials").
func newPeerID() string {
	id := make([]byte, 0, idLength)
	id = append(id, idAlphabet[0])
	var buf [32]byte
	for len(id) < idLength {
		rand.Read(buf[:])
		for _, b := range buf {
			// 248 is the greatest multiple of 62 below 256: no bias.
			if b < 248 && len(id) < idLength {
				id = append(id, idAlphabet[int(b)%len(idAlphabet)])
			}
		}
	}
	return string(id)
}

// answersOnly tells whether a peer is probably one like ours, that waits to be
// dialled.
func answersOnly(id string) bool { return id != "" && id[0] == idAlphabet[0] }

func validRemoteID(id string) bool { return id != "" && len(id) <= MaxPeerID }
