package main

import (
	"bytes"
	"sync"
)

// told counts what the relay told the attackers, under the names of the counters
// that must show it.
type told struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *told) add(name string) {
	if name == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[name]++
}

// unnamed are refusals that no counter is known for.
const unnamed = "unnamed"

// reasons are how refusals begin, and their counters.
var reasons = []struct{ verb, reason, counter string }{
	{"OK", "duplicate:", "events.duplicate"},
	{"OK", "invalid: bad signature", "events.forged"},
	{"OK", "rate-limited:", "events.rate_limited"},
	{"OK", "blocked:", "events.blocked"},
	{"OK", "invalid:", "events.invalid"},
	{"CLOSED", "rate-limited:", "refused.rate_limited"},
	{"CLOSED", "restricted:", "refused.subscriptions"},
	{"NOTICE", "rate-limited:", "refused.rate_limited"},
	{"NOTICE", "invalid: binary", "refused.binary"},
	{"NOTICE", "invalid: message above", "refused.too_large"},
	{"NOTICE", "invalid: not a message", "refused.malformed"},
	{"NOTICE", "blocked: too many invalid", "closed.junk"},
	{"NOTICE", "error: slow", "closed.slow"},
}

// counterOf names the counter that a message of the relay belongs to; empty if
// it is no refusal.
func counterOf(text []byte) string {
	verb, rest, _ := bytes.Cut(bytes.TrimPrefix(text, []byte(`["`)), []byte(`",`))
	switch string(verb) {
	case "EVENT", "EOSE":
		return ""
	case "OK", "CLOSED":
		// ["OK","<id>",<accepted>,"<reason>"], ["CLOSED","<id>","<reason>"]
		_, rest, _ = bytes.Cut(rest, []byte(`,`))
		if accepted := bytes.HasPrefix(rest, []byte(`true,""`)); accepted {
			return ""
		}
		rest = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("true,")), []byte("false,"))
	}
	reason := bytes.TrimPrefix(rest, []byte(`"`))
	for _, r := range reasons {
		if string(verb) == r.verb && bytes.HasPrefix(reason, []byte(r.reason)) {
			return r.counter
		}
	}
	return unnamed
}
