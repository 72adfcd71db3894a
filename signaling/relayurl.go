package signaling

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ParseRelayURL checks the URL of a remote relay and returns the form by which
// the pool tells relays apart: scheme and host in lower case, without the
// default port and a lone slash.
func ParseRelayURL(s string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil {
		// url.Error would repeat what may be a secret.
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return "", fmt.Errorf("relay URL: %w", err)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	var defaultPort string
	switch u.Scheme {
	case "ws":
		defaultPort = ":80"
	case "wss":
		defaultPort = ":443"
	default:
		return "", fmt.Errorf("relay URL %q must begin with ws:// or wss://", u.Redacted())
	}
	if u.Hostname() == "" {
		return "", fmt.Errorf("relay URL %q names no host", u.Redacted())
	}
	if u.User != nil {
		return "", fmt.Errorf("relay URL %q must not have a user name or password", u.Redacted())
	}
	if u.Fragment != "" {
		return "", fmt.Errorf("relay URL %q must not have a fragment", u.Redacted())
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	u.Host = strings.TrimSuffix(u.Host, defaultPort)
	if u.Path == "/" {
		u.Path = ""
	}
	u.ForceQuery = false
	return u.String(), nil
}
