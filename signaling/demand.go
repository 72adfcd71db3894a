package signaling

import (
	"net/http"
	"regexp"
	"strings"
)

// demand is the reason to leave a relay: it wants something that we do not
// give.
type demand struct {
	wants string // "proof of work", "authentication", "permission" or "payment"
	text  string // the relay's words
}

func (d demand) Error() string { return "relay demands " + d.wants + ": " + clip(d.text) }

var payment = regexp.MustCompile(`(?i)\b(pay|pays|paid|payments?|paying|invoices?|sats?|fees?|admission|admitted)\b`)

// demandOf reads a relay's complaint by its machine-readable prefix (NIP-01,
// "OK" messages). A blocked: alone may be meant for one event and demands
// nothing, unless it speaks of payment.
func demandOf(complaint string) (demand, bool) {
	prefix, text, _ := strings.Cut(complaint, ":")
	d := demand{text: complaint}
	switch strings.ToLower(strings.TrimSpace(prefix)) {
	case "pow":
		d.wants = "proof of work"
	case "auth-required":
		d.wants = "authentication"
	case "restricted":
		d.wants = "permission"
		if payment.MatchString(text) {
			d.wants = "payment"
		}
	case "payment-required":
		d.wants = "payment"
	case "blocked":
		if !payment.MatchString(text) {
			return demand{}, false
		}
		d.wants = "payment"
	default:
		return demand{}, false
	}
	return d, true
}

// demandOfStatus reads the status with which a relay refused the WebSocket.
func demandOfStatus(status int) (demand, bool) {
	switch status {
	case http.StatusUnauthorized:
		return demand{"authentication", "HTTP status 401"}, true
	case http.StatusPaymentRequired:
		return demand{"payment", "HTTP status 402"}, true
	}
	return demand{}, false
}

// rateLimited tells whether a complaint asks for fewer messages (NIP-01).
func rateLimited(complaint string) bool {
	prefix, _, found := strings.Cut(complaint, ":")
	return found && strings.EqualFold(strings.TrimSpace(prefix), "rate-limited")
}
