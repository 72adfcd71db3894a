package signaling

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxDescription bounds a session description in bytes. Chromium's have
	// 1 to 4 KiB.
	maxDescription = 32 << 10

	ivSize    = 12 // what we send
	minIVSize = 8  // what we accept: browsers use 12, WebCrypto takes others
	maxIVSize = 64
	tagSize   = 16
)

// Errors of envelopes. errSealed is what a wrong password looks like.
var (
	errEnvelope = errors.New("not an envelope")
	errSealed   = errors.New("envelope does not open with this room's password")
)

// envelopeKey seals the session descriptions of one room (docs/protocol.md,
// "Envelopes"). It says nothing about who sent one: all who know the password
// have the key.
type envelopeKey struct {
	block cipher.Block
	gcm   cipher.AEAD // for IVs of ivSize
}

func newEnvelopeKey(password, room string) (envelopeKey, error) {
	key := sha256.Sum256([]byte(password + ":" + AppID + ":" + room))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return envelopeKey{}, fmt.Errorf("making the key of room %q: %w", room, err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return envelopeKey{}, fmt.Errorf("making the cipher of room %q: %w", room, err)
	}
	return envelopeKey{block, gcm}, nil
}

// newIV returns the random IV that every envelope needs for itself alone.
func newIV() []byte {
	iv := make([]byte, ivSize)
	rand.Read(iv) // never fails
	return iv
}

// seal makes an envelope: the IV's bytes as decimal numbers, and the base64 of
// AES-256-GCM without additional data. iv has ivSize bytes.
func (k envelopeKey) seal(description string, iv []byte) (string, error) {
	if len(description) > maxDescription {
		return "", fmt.Errorf("session description has %d bytes, at most %d", len(description), maxDescription)
	}
	b := make([]byte, 0, len(iv)*4+base64.StdEncoding.EncodedLen(len(description)+tagSize))
	for i, n := range iv {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(n), 10)
	}
	b = append(b, '$')
	b = base64.StdEncoding.AppendEncode(b, k.gcm.Seal(nil, iv, []byte(description), nil))
	return string(b), nil
}

// open is the inverse of seal, for IVs of other lengths too. Its errors are
// errEnvelope and errSealed.
func (k envelopeKey) open(envelope string) (string, error) {
	numbers, text, ok := strings.Cut(envelope, "$")
	if !ok || len(numbers) > maxIVSize*4 || len(text) > base64.StdEncoding.EncodedLen(maxDescription+tagSize) {
		return "", errEnvelope
	}
	var iv []byte
	for number := range strings.SplitSeq(numbers, ",") {
		n, err := strconv.ParseUint(number, 10, 8)
		if err != nil {
			return "", errEnvelope
		}
		iv = append(iv, byte(n))
	}
	if len(iv) < minIVSize || len(iv) > maxIVSize {
		return "", errEnvelope
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", errEnvelope
	}
	gcm := k.gcm
	if len(iv) != ivSize {
		if gcm, err = cipher.NewGCMWithNonceSize(k.block, len(iv)); err != nil {
			return "", errEnvelope
		}
	}
	description, err := gcm.Open(sealed[:0], iv, sealed, nil)
	if err != nil {
		return "", errSealed
	}
	if len(description) == 0 || !utf8.Valid(description) {
		return "", errEnvelope
	}
	return string(description), nil
}
