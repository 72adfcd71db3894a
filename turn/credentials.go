package turn

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// Credential is what a client shows to get an allocation: the name and password
// of TURN's long-term mechanism (RFC 8489, section 9.2), in the form of "A REST API
// for access to TURN services" (draft-uberti-behave-turn-rest), which other servers
// that know the secret take too.
type Credential struct {
	Username, Password string
	// Lifetime is how long it can be used for new allocations, in whole seconds.
	Lifetime time.Duration
}

// Credential makes a credential. User is whom the quota is for; what is told of it
// is an opaque name of it. It is good for Limits.Lifetime, or until a time before, if that
// is not zero.
func (s *Server) Credential(user string, until time.Time) Credential {
	o := s.options.Load()
	lifetime := o.limits.Lifetime
	if !until.IsZero() {
		lifetime = max(0, min(lifetime, time.Until(until)))
	}
	lifetime = lifetime.Truncate(time.Second)
	expires := strconv.FormatInt(time.Now().Add(lifetime).Unix(), 10)
	id := hmac.New(sha256.New, []byte(o.secret))
	id.Write([]byte(user))
	username := expires + ":" + base64.RawURLEncoding.EncodeToString(id.Sum(nil)[:idBytes])
	return Credential{username, password(o.secret, username), lifetime}
}

// idBytes is how much of a user's name there is in a credential.
const idBytes = 12

func password(secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// authenticate implements turn.AuthHandler. The time of a credential is over for
// new allocations; one that is there is its client's for as long as it refreshes
// it, so that no call is cut off.
func (s *Server) authenticate(r *turn.RequestAttributes) (owner string, key []byte, ok bool) {
	expires, user, _ := strings.Cut(r.Username, ":")
	t, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		s.refused.Add("credentials")
		return "", nil, false
	}
	if r.Method == stun.MethodAllocate && time.Now().Unix() > t {
		s.refused.Add("expired")
		return "", nil, false
	}
	key = turn.GenerateAuthKey(r.Username, r.Realm, password(s.options.Load().secret, r.Username))
	return ownerOf(user, r.SrcAddr), key, true
}

// ownerOf names who an allocation counts for: a user, at an address.
func ownerOf(user string, client net.Addr) string { return user + "\n" + network(client) }

func splitOwner(owner string) (user, address string) {
	i := strings.LastIndexByte(owner, '\n')
	return owner[:max(i, 0)], owner[i+1:]
}

// network is whom limits per address are about: an IPv4 address, or the 64 bits
// that an IPv6 customer is given at least.
func network(client net.Addr) string {
	ip := addrPort(client).Addr()
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}

// addrPort is an address without the difference between IPv4 and what is mapped to
// it in IPv6. Zero: it is of another kind.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
