package relay

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nbd-wtf/go-nostr"
)

// subscription is one REQ of a connection, or one Subscribe of this process.
type subscription struct {
	serial uint64 // order of making, distinguishes subscriptions
	head   []byte // `["EVENT","<id>",`, empty for this process
	conn   *Conn  // nil for this process
	queue  *queue
	ended  bool // guarded by queue

	values  int  // what it counts for its address
	late    bool // served after the others, as its address has many
	entries []*entry
}

var errSubscriptionID = errors.New("invalid: the subscription id must be a string of 1 to 64 characters")

func checkSubscriptionID(id string) error {
	if id == "" || utf8.RuneCountInString(id) > MaxSubscriptionID {
		return errSubscriptionID
	}
	return nil
}

// countValues checks the filters of a REQ against the limits, and returns what
// they count for the address. The error is the text of a CLOSED.
func (l Limits) countValues(filters nostr.Filters) (int, error) {
	if len(filters) == 0 {
		return 0, errors.New("invalid: REQ without a filter")
	}
	if len(filters) > l.Filters {
		return 0, fmt.Errorf("restricted: %d filters, at most %d are allowed in one REQ", len(filters), l.Filters)
	}
	total := 0
	for _, f := range filters {
		n := len(f.IDs) + len(f.Authors) + len(f.Kinds)
		for _, values := range f.Tags {
			n += len(values)
		}
		if n > l.Values {
			return 0, fmt.Errorf("restricted: %d values in a filter, at most %d are allowed", n, l.Values)
		}
		if f.Search != "" {
			return 0, errors.New("error: search (NIP-50) is not supported")
		}
		total += n + 1
	}
	return total, nil
}
