package caddymodule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/genosrtc/caddy-genosrtc"
)

// TURN is a STUN and TURN server, for peers that cannot reach each other. Clients
// that were admitted to a room get credentials for it that end by themselves.
type TURN struct {
	// What the credentials are made with, of at least 16 bytes. With another one those
	// that were given out before are good no longer. Required.
	Secret string `json:"secret,omitempty"`

	// The range of UDP ports at which clients are reached through the server, as
	// `first-last`. It cannot change on a reload. Default: `49152-65535`.
	Ports string `json:"ports,omitempty"`

	// How long credentials can be used for new connections. Default: 12 hours.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`

	// How many relay addresses there may be at once. A browser takes one for each
	// connection that it tries and each transport. Default: 4000.
	Allocations int `json:"allocations,omitempty"`

	// How many of them one user may have, by the credentials for the room, or else one
	// address. Default: 200.
	PerUser int `json:"per_user,omitempty"`

	// How many of them clients at one IPv4 address, or in one IPv6 network of 64 bits,
	// may have. Default: 400.
	PerAddress int `json:"per_address,omitempty"`
}

func (t *TURN) config(repl *caddy.Replacer) (cfg genosrtc.TURN, err error) {
	if cfg.Secret, err = expand(repl, "secret of turn", t.Secret); err != nil {
		return cfg, err
	}
	if cfg.Secret == "" {
		return cfg, errors.New("turn has no secret")
	}
	ports, err := expand(repl, "ports of turn", t.Ports)
	if err != nil {
		return cfg, err
	}
	if cfg.Ports, err = parsePorts(ports); err != nil {
		return cfg, err
	}
	cfg.Limits = genosrtc.TURNLimits{
		Allocations: t.Allocations, PerUser: t.PerUser, PerAddress: t.PerAddress, Lifetime: time.Duration(t.Lifetime),
	}
	return cfg, nil
}

// parsePorts reads a range of ports; "" is the default one.
func parsePorts(s string) (ports genosrtc.PortRange, err error) {
	if s == "" {
		return ports, nil
	}
	from, to, _ := strings.Cut(s, "-")
	first, err1 := strconv.ParseUint(from, 10, 16)
	last, err2 := strconv.ParseUint(to, 10, 16)
	if errors.Join(err1, err2) != nil || first == 0 || first > last {
		return ports, fmt.Errorf("ports of turn: %q is not of the form 49152-65535", s)
	}
	return genosrtc.PortRange{First: uint16(first), Last: uint16(last)}, nil
}

func checkPorts(s string) error {
	_, err := parsePorts(s)
	return err
}

// checkTURNSecret wants of a secret what the server does.
func checkTURNSecret(s string) error {
	return genosrtc.Config{TURN: genosrtc.TURN{Secret: s}}.Validate()
}

func (t *TURN) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	once := make(options)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		var limit *int
		switch d.Val() {
		case "secret":
			if !d.AllArgs(&t.Secret) {
				return d.ArgErr()
			}
			if err := checkLiteral(t.Secret, checkTURNSecret); err != nil {
				return d.WrapErr(err)
			}
			continue
		case "ports":
			if !d.AllArgs(&t.Ports) {
				return d.ArgErr()
			}
			if err := checkLiteral(t.Ports, checkPorts); err != nil {
				return d.WrapErr(err)
			}
			continue
		case "lifetime":
			if err := unmarshalDuration(d, &t.Lifetime); err != nil {
				return err
			}
			continue
		case "allocations":
			limit = &t.Allocations
		case "per_user":
			limit = &t.PerUser
		case "per_address":
			limit = &t.PerAddress
		default:
			return d.Errf("unknown option %q of turn: there are secret, ports, lifetime, allocations, per_user and per_address", d.Val())
		}
		name, value := d.Val(), ""
		if !d.AllArgs(&value) {
			return d.ArgErr()
		}
		n, err := strconv.Atoi(value)
		if err != nil || n <= 0 {
			return d.Errf("%s of turn: %q is not a positive number", name, value)
		}
		*limit = n
	}
	if t.Secret == "" {
		return d.Err("turn needs a secret")
	}
	return nil
}
