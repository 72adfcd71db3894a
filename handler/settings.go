package handler

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// Settings are what can be changed while a handler runs.
type Settings struct {
	// Rooms tells whether a room is served here, by database name. Nil: all
	// that the engine has open.
	Rooms func(name string) bool
	// Origins are the web origins, beside the server's own, whose pages may
	// open sessions: "https://example.com", "http://localhost:5173", or "*"
	// for any. Clients that are no browsers send none, and are let through.
	Origins []string
	Auth    Auth
	Limits  Limits
	// StrictWHIP holds clients to RFC 9725: PATCH needs If-Match, and the session's
	// URL takes credentials like any other. By default neither is missed.
	StrictWHIP bool
	// Monitor is the monitor page. Nil: there is none, and 404 in its place.
	Monitor *Monitor
}

// Limits bound what clients can make the handler hold. A zero field means its
// default.
type Limits struct {
	// Sessions that may be open at once. Default 10,000.
	Sessions int
	// SessionsPerAddress may be open at once from one IPv4 address or one
	// IPv6 network of 64 bits, which is what one customer has. With more in a
	// room, those that wait to be resumed included, the one that waits for
	// longest ends. Default 256.
	SessionsPerAddress int
	// Message is the number of bytes of data and meta in one message of a
	// client. Default 2 MiB.
	Message int
	// Pending is the number of bytes that may wait for a client before it is
	// cut off. Default 8 MiB.
	Pending int
	// Resume is how long a session lives without a connection. Default 2 min.
	Resume time.Duration
	// Rate is the number of messages a second that a session may send, and that
	// it may send at once after a silence. A quicker one is held back: the server
	// reads no more of it. Default: as many as it likes.
	Rate int
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Sessions, 10_000)
	set(&l.SessionsPerAddress, 256)
	set(&l.Message, session.DefaultMessage)
	set(&l.Pending, session.DefaultPending)
	if l.Resume <= 0 {
		l.Resume = session.DefaultResume
	}
	return l
}

// settings are Settings made ready. They are not changed, but replaced.
type settings struct {
	rooms     func(string) bool
	origins   map[string]bool
	anyOrigin bool
	auth      Auth
	// crossOrigin judges what is not safe to do in another site's name.
	crossOrigin *http.CrossOriginProtection
	limits      Limits
	strictWHIP  bool
	monitor     *Monitor
}

// Configure replaces the settings. Those of Auth and the rate hold for sessions
// that are open too: one whose credentials are good no longer, or allow something
// else, ends with 4001 and may be resumed. The other limits hold from a session's
// next connection on. It fails, and changes nothing, if an origin is not valid.
func (h *Handler) Configure(s Settings) error {
	set := &settings{
		rooms: s.Rooms, origins: make(map[string]bool), auth: s.Auth, limits: s.Limits.withDefaults(),
		crossOrigin: http.NewCrossOriginProtection(), strictWHIP: s.StrictWHIP, monitor: s.Monitor,
	}
	for _, o := range s.Origins {
		if o == "*" {
			if s.Auth.User != nil {
				return errors.New(`origins: "*" cannot be where the web server authenticates: any page could act for whoever is logged in; name the origins`)
			}
			set.anyOrigin = true
			continue
		}
		origin, err := parseOrigin(o)
		if err != nil {
			return err
		}
		set.origins[origin.String()] = true
		if err := set.crossOrigin.AddTrustedOrigin(origin.String()); err != nil {
			return fmt.Errorf("origin %q: %w", o, err)
		}
	}
	h.settings.Store(set)
	h.holdAgain()
	return nil
}

// allows tells whether a request may open a session, by the page that it comes
// from (RFC 6454, RFC 6455 section 10.2). "null", the origin of files and
// sandboxes, is nobody's own.
func (s *settings) allows(r *http.Request) bool {
	header := r.Header.Get("Origin")
	if header == "" || s.anyOrigin {
		return true
	}
	o, err := parseOrigin(header)
	if err != nil {
		return false
	}
	// The scheme of the server's own origin is not known behind a proxy.
	return o.host == withoutPort(strings.ToLower(r.Host), o.scheme) || s.origins[o.String()]
}

// origin is a web origin in its normal form: lower case, without the scheme's
// own port.
type origin struct{ scheme, host string }

func (o origin) String() string { return o.scheme + "://" + o.host }

func parseOrigin(s string) (origin, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme == "" || s != u.Scheme+"://"+u.Host && !strings.EqualFold(s, u.Scheme+"://"+u.Host) {
		return origin{}, fmt.Errorf("origin %q is not of the form scheme://host or scheme://host:port", s)
	}
	scheme := strings.ToLower(u.Scheme)
	return origin{scheme, withoutPort(strings.ToLower(u.Host), scheme)}, nil
}

func withoutPort(host, scheme string) string {
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}
