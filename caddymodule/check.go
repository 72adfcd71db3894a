package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/engine"
)

// The checks of single values run twice: on the Caddyfile, where an error can
// name its line, and on the configuration once placeholders are replaced.

func checkRelay(v string) error { return genosrtc.Config{Relays: []string{v}}.Validate() }
func checkUDP(v string) error   { return genosrtc.Config{UDP: v}.Validate() }
func checkIP(v string) error    { return genosrtc.Config{PublicIPs: []string{v}}.Validate() }
func checkInterface(v string) error {
	return genosrtc.Config{Interfaces: []string{v}}.Validate()
}
func checkSTUN(v string) error { return genosrtc.Config{STUN: []string{v}}.Validate() }
func checkPath(v string) error { return genosrtc.Site{Path: v}.Validate() }
func checkOrigin(v string) error {
	return genosrtc.Site{Settings: genosrtc.Settings{Origins: []string{v}}}.Validate()
}

func checkPattern(v string) error { return genosrtc.Config{OnDemand: []string{v}}.Validate() }

func parseIdentity(v string) (genosrtc.Identity, error) {
	switch v {
	case "", genosrtc.IdentitySession.String():
		return genosrtc.IdentitySession, nil
	case genosrtc.IdentityServer.String():
		return genosrtc.IdentityServer, nil
	}
	return 0, fmt.Errorf("identity %q is neither session nor server", v)
}

func checkChannel(v string) error {
	if !engine.ValidChannel(v) {
		return fmt.Errorf("channel %q: %w", v, engine.ErrChannelName)
	}
	return nil
}

func checkIdentity(v string) error {
	_, err := parseIdentity(v)
	return err
}

// checkLiteral checks a value of the Caddyfile, unless it has a placeholder,
// whose value is known only when the configuration is provisioned.
func checkLiteral(v string, check func(string) error) error {
	if strings.Contains(v, "{") {
		return nil
	}
	return check(v)
}

// list reads the arguments of an option that takes one or more values.
func list(d *caddyfile.Dispenser, into *[]string, check func(string) error) error {
	*into = d.RemainingArgs()
	if len(*into) == 0 {
		return d.ArgErr()
	}
	for _, v := range *into {
		if err := checkLiteral(v, check); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// expand replaces the placeholders of a value. One that is unknown or empty is
// an error: an unset variable must not turn into, say, a room without password.
func expand(repl *caddy.Replacer, what, v string) (string, error) {
	v, err := repl.ReplaceOrErr(v, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

func expandAll(repl *caddy.Replacer, what string, values []string) ([]string, error) {
	out := make([]string, len(values))
	for i, v := range values {
		var err error
		if out[i], err = expand(repl, what, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}
