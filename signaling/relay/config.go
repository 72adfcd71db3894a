package relay

import (
	"cmp"
	"log/slog"
	"time"
)

// Config is what a Relay is made from. The zero value is a relay that carries
// nothing until SetRooms is called.
type Config struct {
	// Open carries everybody's ephemeral events, rather than only those of the
	// rooms that SetRooms names.
	Open bool
	// Limits bound what strangers can use. Zero fields get defaults.
	Limits Limits
	// Logger gets a line, at level debug, for each connection that is cut.
	// Nil: slog.Default().
	Logger *slog.Logger
}

// Limits bound what strangers can use. A field that is zero gets the default
// named with it.
type Limits struct {
	// Message is the size of one message from a client, in bytes: 32 KiB.
	Message int
	// Tags is the number of tags of an event: 64.
	Tags int

	// Connections is the number of connections: 10,000.
	Connections int
	// ConnectionsPerAddress is how many of them one address may have: 500.
	ConnectionsPerAddress int

	// Subscriptions is the number of subscriptions of a connection: 512.
	Subscriptions int
	// Filters is the number of filters in one REQ: 20.
	Filters int
	// Values is the number of ids, authors, kinds and tag values in one filter
	// together: 1,000.
	Values int
	// ValuesPerAddress bounds the values of all subscriptions of an address
	// together, with one more for each filter and for each peer that it
	// announced: 50,000.
	ValuesPerAddress int

	// Rate and Burst bound the messages of a connection: 200 a second after
	// 2,000 at once. That is ample for another server that speaks for 40 hosted
	// peers: each announces itself in two rooms every 2.5 s at most, and all of
	// them may offer or answer at once.
	Rate  float64
	Burst int
	// RatePerAddress and BurstPerAddress bound the messages of all connections
	// of an address together: 500 a second after 5,000 at once.
	RatePerAddress  float64
	BurstPerAddress int
	// Violations is how many junk messages a connection may send before it is
	// closed, and a tenth of what an address may send before each of its
	// connections is closed at the first: 10. One is forgiven every minute, of an
	// address every 6 s.
	Violations int

	// Pending and PendingMessages bound what waits for a client that reads
	// slowly, in bytes (1 MiB) and messages (4,096).
	Pending         int
	PendingMessages int
	// Slow is for how long Pending may be exhausted, or one batch of at most
	// 64 KiB may take to write, before the connection is cut: 10 s.
	Slow time.Duration

	// Remembered is the number of event ids that are known as duplicates: 65,536.
	Remembered int
	// Peers is the number of peers that a connection may announce so that their
	// own topics are carried; the oldest are forgotten first: 1,024.
	Peers int
}

func (l Limits) withDefaults() Limits {
	l.Message = cmp.Or(l.Message, 32<<10)
	l.Tags = cmp.Or(l.Tags, 64)
	l.Connections = cmp.Or(l.Connections, 10_000)
	l.ConnectionsPerAddress = cmp.Or(l.ConnectionsPerAddress, 500)
	l.Subscriptions = cmp.Or(l.Subscriptions, 512)
	l.Filters = cmp.Or(l.Filters, 20)
	l.Values = cmp.Or(l.Values, 1000)
	l.ValuesPerAddress = cmp.Or(l.ValuesPerAddress, 50_000)
	l.Rate = cmp.Or(l.Rate, 200)
	l.Burst = cmp.Or(l.Burst, 2000)
	l.RatePerAddress = cmp.Or(l.RatePerAddress, 500)
	l.BurstPerAddress = cmp.Or(l.BurstPerAddress, 5000)
	l.Violations = cmp.Or(l.Violations, 10)
	l.Pending = cmp.Or(l.Pending, 1<<20)
	l.PendingMessages = cmp.Or(l.PendingMessages, 4096)
	l.Slow = cmp.Or(l.Slow, 10*time.Second)
	l.Remembered = cmp.Or(l.Remembered, 65_536)
	l.Peers = cmp.Or(l.Peers, 1024)
	return l
}

const (
	// MaxSubscriptionID is the length of a subscription id (NIP-01), in characters.
	MaxSubscriptionID = 64
	// ClockSkew is how far created_at may be from our clock. Nothing is stored,
	// so that this only bounds how long a recorded event can be played again.
	ClockSkew = 24 * time.Hour
)

// The kinds that are carried: ephemeral ones (NIP-01).
const (
	MinKind = 20000
	MaxKind = 29999
)
