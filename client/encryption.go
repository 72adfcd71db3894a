package client

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// docs/gateway.md, "End-to-end encryption".
const (
	sealVersion = 1
	sealKey     = 32
)

// sealIterations is a variable for tests of what is no matter of keys: with the
// race detector these many take seconds.
var sealIterations = 600_000

// errSealed is why something cannot be opened that has the form of what was
// sealed.
var errSealed = errors.New("another passphrase, or not what was sent")

// secret is what a channel is encrypted by.
type secret struct {
	aead  cipher.AEAD
	about []byte // salt and additional data
}

func newSecret(room, channel, passphrase string) (*secret, error) {
	about := []byte("genosrtc\x00" + channel + "\x00" + room)
	key, err := pbkdf2.Key(sha256.New, passphrase, about, sealIterations, sealKey)
	if err != nil {
		return nil, fmt.Errorf("client: channel %s: key: %w", channel, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("client: channel %s: cipher: %w", channel, err)
	}
	aead, err := cipher.NewGCM(block)
	return &secret{aead, about}, err
}

// sealedHead is sealed in a line of its own before the payload.
type sealedHead struct {
	From []string `json:"from"` // the peer ids that others may know the sender by
	Kind string   `json:"kind"`
	Meta *meta    `json:"meta,omitempty"`
}

// seal makes data of a value, and of what travels beside it, that only who has
// the passphrase can read.
func (s *secret) seal(from []string, d *data, m *meta) (*data, error) {
	head := sealedHead{From: from, Meta: m}
	var payload []byte
	var err error
	switch v := d.v.(type) {
	case string:
		head.Kind, payload = KindText, []byte(v)
	case []byte:
		head.Kind, payload = KindBytes, v
	default:
		head.Kind = KindJSON
		if payload, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	line, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	plain := slices.Concat(line, []byte{'\n'}, payload)
	sealed := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	sealed[0] = sealVersion
	nonce := sealed[1:]
	rand.Read(nonce) // never fails
	return &data{s.aead.Seal(sealed, nonce, plain, s.about)}, nil
}

// open gives back what was sealed, and by whom.
func (s *secret) open(v any) (from []string, d *data, m *meta, err error) {
	b, _ := v.([]byte)
	if len(b) < 1+s.aead.NonceSize() || b[0] != sealVersion {
		return nil, nil, nil, errors.New("it is not encrypted")
	}
	nonce, sealed := b[1:1+s.aead.NonceSize()], b[1+s.aead.NonceSize():]
	plain, err := s.aead.Open(nil, nonce, sealed, s.about)
	if err != nil {
		return nil, nil, nil, errSealed
	}
	line, payload, ended := bytes.Cut(plain, []byte{'\n'})
	if !ended {
		return nil, nil, nil, errors.New("its head has no end")
	}
	var head sealedHead
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, nil, nil, fmt.Errorf("its head: %w", err)
	}
	d = new(data)
	switch head.Kind {
	case KindBytes:
		d.v = payload
	case KindText:
		if !utf8.Valid(payload) {
			return nil, nil, nil, errors.New("its text is not UTF-8")
		}
		d.v = string(payload)
	case KindJSON:
		if !json.Valid(payload) {
			return nil, nil, nil, errors.New("its JSON is not valid")
		}
		if d.v, err = plainJSON(payload); err != nil {
			return nil, nil, nil, err
		}
	default:
		return nil, nil, nil, fmt.Errorf("its kind %q is not known", head.Kind)
	}
	return head.From, d, head.Meta, nil
}

// secretsOf makes the keys of channels, by channel. It takes a fraction of a
// second for each.
func secretsOf(room string, passphrases map[string]string) (map[string]*secret, error) {
	secrets := make(map[string]*secret, len(passphrases))
	for channel, passphrase := range passphrases {
		var err error
		if secrets[channel], err = newSecret(room, channel, passphrase); err != nil {
			return nil, err
		}
	}
	return secrets, nil
}

// encodeSend encodes a send, encrypted where its channel is. Needs r.mu.
func (r *Room) encodeSend(f *frame) ([]byte, error) {
	if s := r.secrets[f.Channel]; s != nil {
		sealed := *f
		var err error
		if sealed.Data, err = s.seal(r.ids(), f.Data, f.Meta); err != nil {
			return nil, err
		}
		sealed.Meta = nil
		f = &sealed
	}
	return r.codec.encode(f)
}

// ids are the peer ids that others may know us by. Needs r.mu.
func (r *Room) ids() []string {
	if r.mesh == "" {
		return []string{r.peer}
	}
	return []string{r.peer, r.mesh}
}

// reseal encrypts again what waits to be sent, since our ids have changed. Needs
// r.mu.
func (r *Room) reseal() {
	if len(r.secrets) == 0 {
		return
	}
	for i := range r.out.waiting {
		p := &r.out.waiting[i]
		f, err := r.codec.decode(p.raw)
		if err != nil || f.Data == nil || r.secrets[f.Channel] == nil {
			continue
		}
		if _, f.Data, f.Meta, err = r.secrets[f.Channel].open(f.Data.v); err != nil {
			continue // of another process, by another passphrase
		}
		raw, err := r.encodeSend(f)
		if err != nil { // it was encoded before
			r.log.Error("a send could not be encrypted again", "seq", p.seq, "err", err)
			continue
		}
		r.out.bytes += len(raw) - len(p.raw)
		p.raw = raw
	}
}

// unseal opens a message that arrived, where its channel is encrypted.
func (r *Room) unseal(f *frame) error {
	s := r.secrets[f.Channel]
	if s == nil {
		return nil
	}
	var v any
	if f.Data != nil {
		v = f.Data.v
	}
	from, d, m, err := s.open(v)
	if err != nil {
		return fmt.Errorf("client: channel %s: a message of %s: %w", f.Channel, f.From, err)
	}
	if !slices.Contains(from, f.From) {
		return fmt.Errorf("client: channel %s: a message of %s: it was sealed by %q", f.Channel, f.From, from)
	}
	f.Data, f.Meta = d, m
	return nil
}
