package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mailru/easyjson/jlexer"
	"github.com/nbd-wtf/go-nostr"
)

// request is a client's message (NIP-01). It shares no memory with the bytes
// that it was read from.
type request struct {
	verb    string        // EVENT, REQ, CLOSE, or what the client said instead
	event   *nostr.Event  // EVENT and AUTH
	id      string        // the subscription id of REQ, CLOSE and COUNT
	filters nostr.Filters // REQ
}

var errUTF8 = errors.New("not valid UTF-8")

// parseRequest reads a client's message. On error the request has what was
// understood before it, so that a bad REQ can be answered by its id.
func parseRequest(text []byte) (request, error) {
	var req request
	// A browser would drop its connection if it were sent such text.
	if !utf8.Valid(text) {
		return req, errUTF8
	}
	l := jlexer.Lexer{Data: text}
	l.Delim('[')
	req.verb = l.String()
	l.WantComma()
	switch req.verb {
	case "EVENT":
		req.event = parseEvent(&l)
		l.WantComma()
	case "REQ":
		req.id = l.String()
		l.WantComma()
		for l.Ok() && !l.IsDelim(']') {
			req.filters = append(req.filters, parseFilter(&l))
			l.WantComma()
		}
	case "CLOSE":
		req.id = l.String()
		l.WantComma()
	case "AUTH":
		req.event = parseEvent(&l)
		l.WantComma()
	case "COUNT":
		req.id = l.String()
		l.WantComma()
		fallthrough
	default:
		for l.Ok() && !l.IsDelim(']') {
			l.SkipRecursive()
			l.WantComma()
		}
	}
	l.Delim(']')
	l.Consumed()
	return req, l.Error()
}

// parseEvent keeps the seven fields of NIP-01 and drops all others.
func parseEvent(l *jlexer.Lexer) *nostr.Event {
	var ev nostr.Event
	ev.UnmarshalEasyJSON(l)
	return &nostr.Event{ID: ev.ID, PubKey: ev.PubKey, CreatedAt: ev.CreatedAt, Kind: ev.Kind,
		Tags: ev.Tags, Content: ev.Content, Sig: ev.Sig}
}

func parseFilter(l *jlexer.Lexer) nostr.Filter {
	var f nostr.Filter
	f.UnmarshalEasyJSON(l)
	// The library leaves the names of tags in the buffer that it read.
	tags := make(nostr.TagMap, len(f.Tags))
	for name, values := range f.Tags {
		tags[strings.Clone(name)] = values
	}
	f.Tags = tags
	return f
}

// Replies.

func okMessage(id string, accepted bool, reason string) *message {
	text := fmt.Appendf(nil, `["OK","%s",%t,%s]`, id, accepted, quote(reason))
	return &message{tail: text}
}

func eoseMessage(id string) *message {
	return &message{tail: fmt.Appendf(nil, `["EOSE",%s]`, quote(id))}
}

func closedMessage(id, reason string) *message {
	return &message{tail: fmt.Appendf(nil, `["CLOSED",%s,%s]`, quote(id), quote(reason))}
}

func noticeMessage(text string) *message {
	return &message{tail: fmt.Appendf(nil, `["NOTICE",%s]`, quote(text))}
}

// eventHead is what precedes an event's JSON towards a subscription.
func eventHead(id string) []byte {
	return fmt.Appendf(nil, `["EVENT",%s,`, quote(id))
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return b
}

// clip shortens what a client said before it is quoted back.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// describe says what is wrong with a message that could not be parsed.
func describe(err error) string {
	if e, ok := errors.AsType[*jlexer.LexerError](err); ok {
		return fmt.Sprintf("%s at byte %d", clip(e.Reason), e.Offset)
	}
	return clip(err.Error())
}
