package relay

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// maxAddresses bounds the addresses that are remembered after their last
// connection ended; the one unused for longest is forgotten, and with it that
// it was throttled.
const maxAddresses = 10_000

// address is what the connections of one address have in common.
type address struct {
	messages *rate.Limiter
	junk     *rate.Limiter

	connections int // guarded by addresses

	mu            sync.Mutex
	subscriptions int
	values        int // of all its subscriptions
}

// promptSubscriptions is the number of subscriptions of one address that are
// served before those of addresses with more, so that thousands that want
// everything do not delay the few of a page.
const promptSubscriptions = 64

// addresses is the table of all of them.
type addresses struct {
	limits Limits
	mu     sync.Mutex
	inUse  map[string]*address
	idle   *lru.Cache[string, *address]
}

func newAddresses(limits Limits) *addresses {
	// The only error is a size that is not positive.
	idle, _ := lru.New[string, *address](maxAddresses)
	return &addresses{limits: limits, inUse: map[string]*address{}, idle: idle}
}

// connect counts a new connection of an address. It returns nil if it has too
// many already.
func (t *addresses) connect(key string) *address {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.inUse[key]
	if a == nil {
		a, _ = t.idle.Get(key)
		t.idle.Remove(key)
	}
	if a == nil {
		a = &address{
			messages: rate.NewLimiter(rate.Limit(t.limits.RatePerAddress), t.limits.BurstPerAddress),
			junk:     rate.NewLimiter(rate.Every(forgive/10), 10*t.limits.Violations),
		}
	}
	if a.connections >= t.limits.ConnectionsPerAddress {
		return nil
	}
	t.inUse[key] = a
	a.connections++
	return a
}

func (t *addresses) disconnect(key string, a *address) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.connections--; a.connections == 0 {
		delete(t.inUse, key)
		t.idle.Add(key, a)
	}
}

// take reserves n values for a subscription. It returns false if the address
// has too many.
func (a *address) take(n, limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.values+n > limit {
		return false
	}
	a.values += n
	return true
}

func (a *address) give(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.values -= n
}

// subscribed counts a subscription, and tells whether it is to be served after
// those of others.
func (a *address) subscribed() (late bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subscriptions++
	return a.subscriptions > promptSubscriptions
}

func (a *address) unsubscribed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subscriptions--
}

// forgive is the time after which a connection may send one more junk message.
const forgive = time.Minute

// addressKey is what counts as one address: an IPv4 address, or the 64-bit
// prefix that an IPv6 host can choose its addresses from.
func addressKey(s string) string {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, _ := ip.Prefix(64) // 64 is in range
	return prefix.String()
}
