package engine

import (
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/time/rate"
)

// Rule says what may be sent on a channel of a room. What a seat sends against
// it is refused with a *RuleError; what a remote peer sends is counted, and with
// Enforce dropped.
type Rule struct {
	// Channel is the one that the rule is for; a room has one rule for each.
	Channel string
	// MaxSize is the greatest number of bytes of data and meta together, as they
	// are in Content: of a string its UTF-8, of a JSON value its text. It holds
	// for transfers too. 0: any.
	MaxSize int
	// Rate is how much one sender may send: a user, of those without a name a
	// seat (SeatConfig.User), or a remote peer. Zero: any.
	Rate Rate
	// Schema is a JSON Schema (drafts 4 to 2020-12) for data, as JSON. References
	// must stay within it. A string is judged as a JSON string; bytes fit no
	// schema, and nor do transfers, which the room never has whole. Nil: none.
	Schema []byte
	// Enforce has what remote peers send against the rule dropped instead of
	// passed on to seats. Other remote peers have it in any case, by links of
	// their own.
	Enforce bool
}

// Rate is a number of messages in a time. As many may come at once, and more as
// the time passes. The zero Rate means any number.
type Rate struct {
	Messages int
	Per      time.Duration
}

// The rules that a message can break, in the order in which they are judged.
const (
	RuleMaxSize = "max_size"
	RuleRate    = "rate"
	RuleSchema  = "schema"
)

// RuleError says which rule of its channel a message breaks. The message was
// not sent, and can never be sent as it is, but for RuleRate.
type RuleError struct {
	Channel string
	Rule    string // RuleMaxSize, RuleRate or RuleSchema
	// Where is the place in data that breaks RuleSchema, as a JSON Pointer (RFC
	// 6901); empty means the whole.
	Where string
	Text  string // what is wrong, for people
	// RetryAfter is with RuleRate when there is room for another message.
	RetryAfter time.Duration
}

func (e *RuleError) Error() string {
	where := ""
	if e.Where != "" {
		where = e.Where + ": "
	}
	return fmt.Sprintf("channel %s: %s: %s%s", e.Channel, e.Rule, where, e.Text)
}

// ValidateRules tells what is wrong with the rules of a room.
func ValidateRules(rules []Rule) error {
	_, err := newRules(rules)
	return err
}

// maxSenders is how many senders' rates a rule remembers. Who was silent for
// longest is forgotten first, and may then send as if for the first time.
const maxSenders = 16_384

// sender is whose rate is counted. A remote peer that sends to all sends by each
// of its links, so each of them counts for itself.
type sender struct{ id, hosted string }

// channelRule is a rule that is ready for use, by any goroutine.
type channelRule struct {
	Rule
	schema  *jsonschema.Schema
	senders *lru.Cache[sender, *rate.Limiter] // nil: any rate
}

func newChannelRule(rule Rule) (*channelRule, error) {
	c := &channelRule{Rule: rule}
	r := rule.Rate
	switch {
	case !ValidChannel(rule.Channel):
		return nil, fmt.Errorf("channel %q: %w", rule.Channel, ErrChannelName)
	case rule.MaxSize < 0:
		return nil, fmt.Errorf("channel %s: max_size is negative", rule.Channel)
	case r != Rate{} && (r.Messages <= 0 || r.Per <= 0):
		return nil, fmt.Errorf("channel %s: a rate needs a positive number of messages and a positive time", rule.Channel)
	}
	var err error
	if r != (Rate{}) {
		if c.senders, err = lru.New[sender, *rate.Limiter](maxSenders); err != nil {
			panic(err) // the size is a positive constant
		}
	}
	if rule.Schema != nil {
		if c.schema, err = compileSchema(rule.Schema); err != nil {
			return nil, fmt.Errorf("channel %s: schema: %w", rule.Channel, err)
		}
	}
	return c, nil
}

// newRules makes rules ready for use, by channel.
func newRules(rules []Rule) (map[string]*channelRule, error) {
	byChannel := make(map[string]*channelRule, len(rules))
	for _, rule := range rules {
		c, err := newChannelRule(rule)
		if err == nil && byChannel[rule.Channel] != nil {
			err = fmt.Errorf("channel %s has two rules", rule.Channel)
		}
		if err != nil {
			return nil, err
		}
		byChannel[rule.Channel] = c
	}
	return byChannel, nil
}

// SetRules changes the room's rules from now on. An error means that nothing was
// changed.
func (r *Room) SetRules(rules []Rule) error {
	byChannel, err := newRules(rules)
	if err == nil {
		r.rules.Store(&byChannel)
	}
	return err
}

// rule is that of a channel; nil means that it has none.
func (r *Room) rule(channel string) *channelRule { return (*r.rules.Load())[channel] }

// check judges a message. It may take as long as reading the message: whoever
// brings one calls it, not the actor.
func (c *channelRule) check(from sender, now time.Time, content *Content) *RuleError {
	if c == nil {
		return nil
	}
	err := c.size(uint64(len(content.Data) + len(content.Meta)))
	if err == nil {
		err = c.pace(from, now)
	}
	if err == nil && c.schema != nil {
		err = c.judge(content)
	}
	return err
}

// checkTransfer judges a transfer before it begins.
func (c *channelRule) checkTransfer(from sender, now time.Time, b *TransferBegin) *RuleError {
	if c == nil {
		return nil
	}
	err := c.size(b.Size + uint64(len(b.Meta)))
	if err == nil {
		err = c.pace(from, now)
	}
	if err == nil && c.schema != nil {
		err = c.breach(RuleSchema, "this channel takes no transfers, since the server cannot judge them")
	}
	return err
}

func (c *channelRule) breach(rule, format string, args ...any) *RuleError {
	return &RuleError{Channel: c.Channel, Rule: rule, Text: fmt.Sprintf(format, args...)}
}

func (c *channelRule) size(bytes uint64) *RuleError {
	if c.MaxSize == 0 || bytes <= uint64(c.MaxSize) {
		return nil
	}
	return c.breach(RuleMaxSize, "data and meta have %d bytes, at most %d", bytes, c.MaxSize)
}

// pace counts a message of a sender, if there is room for it.
func (c *channelRule) pace(from sender, now time.Time) *RuleError {
	if c.senders == nil {
		return nil
	}
	limiter, ok := c.senders.Get(from)
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(float64(c.Rate.Messages)/c.Rate.Per.Seconds()), c.Rate.Messages)
		if earlier, ok, _ := c.senders.PeekOrAdd(from, limiter); ok {
			limiter = earlier
		}
	}
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reservation.CancelAt(now)
	e := c.breach(RuleRate, "more than %d in %v", c.Rate.Messages, c.Rate.Per)
	e.RetryAfter = wait
	return e
}
