package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mailru/easyjson/jlexer"
	"github.com/nbd-wtf/go-nostr"
)

var (
	errShape    = errors.New("invalid: id, pubkey and sig must be 64, 64 and 128 lower-case hexadecimal digits")
	errID       = errors.New("invalid: the id is not the hash of the event")
	errKind     = fmt.Errorf("blocked: this relay carries ephemeral kinds only, %d to %d", MinKind, MaxKind)
	errTime     = errors.New("invalid: created_at is more than a day away from this relay's clock")
	errNoTopic  = errors.New("blocked: this relay carries events with a topic (an x tag) of its rooms only")
	errNotOurs  = errors.New("blocked: this relay carries the rooms that its server is configured for, and the peers announced in them; add the database to the server's rooms, or let the relay be open")
	errForged   = errors.New("invalid: bad signature")
	errThrottle = errors.New("rate-limited: slow down")
)

func checkShape(ev *nostr.Event) error {
	if !isHex(ev.ID, 64) || !isHex(ev.PubKey, 64) || !isHex(ev.Sig, 128) {
		return errShape
	}
	return nil
}

func isHex(s string, length int) bool {
	if len(s) != length {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func checkTime(ev *nostr.Event, now time.Time) error {
	// Compared as numbers: any of them is a valid Timestamp, but not a valid
	// time.Duration from now.
	limit := nostr.Timestamp(ClockSkew / time.Second)
	at := nostr.Timestamp(now.Unix())
	if ev.CreatedAt < at-limit || ev.CreatedAt > at+limit {
		return errTime
	}
	return nil
}

// serialized is an event in the form that is hashed (NIP-01).
type serialized []byte

// checkID compares the event's id with the hash.
func (s serialized) checkID(ev *nostr.Event) error {
	sum := sha256.Sum256(s)
	if hex.EncodeToString(sum[:]) != ev.ID {
		return errID
	}
	return nil
}

// tail returns the event as JSON, followed by the bracket that closes an EVENT
// message. It is made from the hashed form, so that what we send is what was
// signed, whatever else the sender's JSON contained.
func (s serialized) tail(ev *nostr.Event) []byte {
	// [0,"<pubkey>",<created_at>,<kind>,<tags>,<content>]
	start := len(`[0,"",,,`) + len(ev.PubKey) +
		len(strconv.FormatInt(int64(ev.CreatedAt), 10)) + len(strconv.Itoa(ev.Kind))
	rest := s[start : len(s)-1]
	tags := (&jlexer.Lexer{Data: rest}).Raw()
	content := rest[len(tags)+1:]
	b := make([]byte, 0, len(s)+len(ev.ID)+len(ev.Sig)+len(`{"id":"","pubkey":"","created_at":,"kind":,"tags":,"content":,"sig":""}]`))
	b = append(b, `{"id":"`...)
	b = append(b, ev.ID...)
	b = append(b, `","pubkey":"`...)
	b = append(b, ev.PubKey...)
	b = append(b, `","created_at":`...)
	b = strconv.AppendInt(b, int64(ev.CreatedAt), 10)
	b = append(b, `,"kind":`...)
	b = strconv.AppendInt(b, int64(ev.Kind), 10)
	b = append(b, `,"tags":`...)
	b = append(b, tags...)
	b = append(b, `,"content":`...)
	b = append(b, content...)
	b = append(b, `,"sig":"`...)
	b = append(b, ev.Sig...)
	return append(b, `"}]`...)
}

// signal is what an event's content says in plain text (docs/protocol.md,
// "Signaling").
type signal struct {
	peer        string // the sender; empty if the content is no signaling message
	bye         bool
	description bool // it has an offer or an answer
}

// maxPeerID bounds the peer ids whose self topics are carried, in bytes.
const maxPeerID = 64

func readSignal(content string) (s signal) {
	l := jlexer.Lexer{Data: []byte(content)}
	if l.IsNull() {
		return s
	}
	l.Delim('{')
	for l.Ok() && !l.IsDelim('}') {
		key := l.UnsafeFieldName(false)
		l.WantColon()
		switch key {
		case "peerId":
			s.peer = l.String()
		case "bye":
			s.bye = true
			l.SkipRecursive()
		case "offer", "answer":
			s.description = true
			l.SkipRecursive()
		default:
			l.SkipRecursive()
		}
		l.WantComma()
	}
	l.Delim('}')
	if l.Consumed(); l.Error() != nil || len(s.peer) > maxPeerID {
		return signal{}
	}
	return s
}

func (s signal) announce() bool { return s.peer != "" && !s.bye && !s.description }
