package caddymodule

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"

	"github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/engine"
)

// parseDirective makes a route of the directive. It is not registered as a
// handler directive, since its argument is the path that the resources are
// under, not a matcher: a matcher of that path alone would miss them.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, handler), nil
}

// UnmarshalCaddyfile reads the directive:
//
//	genosrtc [<path>] {
//		room <name> {
//			password <password>
//			identity session|server
//			redeliver <channel...>
//			durable
//			memory
//			anonymous write
//			cells auto|off|on [<size>]
//			channel <name> {
//				max_size <size>
//				rate     <messages>/<time>
//				schema   <file>
//				enforce
//			}
//			sessions <number>
//		}
//		rooms <pattern...>
//		auth jwt {
//			algorithm <name>
//			key       <key>
//			audience  <audience>
//		}
//		auth caddy [<user>]
//		origins <origin...>
//		whip strict
//		limits {
//			sessions    <number>
//			per_address <number>
//			message     <size>
//			pending     <size>
//			resume      <duration>
//			rate        <messages>/s
//		}
//		monitor
//	}
//
// Sizes are bytes, or have a unit, such as 64KiB; durations have one too. All is
// optional; room may be repeated, and so may channel.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		h.Path = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	if err := checkPath(h.Path); err != nil {
		return d.WrapErr(err)
	}
	once := make(options)
	for d.NextBlock(0) {
		if d.Val() == "room" {
			if err := h.unmarshalRoom(d); err != nil {
				return err
			}
			continue
		}
		if d.Val() == "auth" {
			if err := h.Auth.unmarshal(d); err != nil {
				return err
			}
			continue
		}
		if err := once.add(d); err != nil {
			return err
		}
		switch d.Val() {
		case "rooms":
			if err := list(d, &h.OnDemand, checkPattern); err != nil {
				return err
			}
		case "origins":
			if err := list(d, &h.Origins, checkOrigin); err != nil {
				return err
			}
		case "whip":
			var how string
			if !d.AllArgs(&how) {
				return d.ArgErr()
			}
			if how != "strict" {
				return d.Errf("whip can only be strict, not %q", how)
			}
			h.StrictWHIP = true
		case "limits":
			if err := h.Limits.unmarshal(d); err != nil {
				return err
			}
		case "monitor":
			if d.NextArg() {
				return d.ArgErr()
			}
			h.Monitor = true
		default:
			return d.Errf("unknown option %q of genosrtc: there are room, rooms, auth, origins, whip, limits and monitor", d.Val())
		}
	}
	return nil
}

func (h *Handler) unmarshalRoom(d *caddyfile.Dispenser) error {
	var room Room
	if !d.AllArgs(&room.Name) {
		return d.ArgErr()
	}
	if room.Name == "" {
		return d.Err("a room needs a name")
	}
	if slices.ContainsFunc(h.Rooms, func(other Room) bool { return other.Name == room.Name }) {
		return d.Errf("room %q is configured twice", room.Name)
	}
	once := make(options)
	for d.NextBlock(1) {
		if d.Val() == "channel" {
			var channel Channel
			if err := channel.unmarshal(d); err != nil {
				return err
			}
			if slices.ContainsFunc(room.Channels, func(other Channel) bool { return other.Name == channel.Name }) {
				return d.Errf("channel %q of room %q is configured twice", channel.Name, room.Name)
			}
			room.Channels = append(room.Channels, channel)
			continue
		}
		if err := once.add(d); err != nil {
			return err
		}
		switch d.Val() {
		case "password":
			if !d.AllArgs(&room.Password) {
				return d.ArgErr()
			}
			if room.Password == "" {
				return d.Errf("the password of room %q is empty: leave the option out for a room without", room.Name)
			}
		case "identity":
			if !d.AllArgs(&room.Identity) {
				return d.ArgErr()
			}
			if err := checkLiteral(room.Identity, checkIdentity); err != nil {
				return d.WrapErr(err)
			}
		case "redeliver":
			if err := list(d, &room.Redeliver, checkChannel); err != nil {
				return err
			}
		case "durable":
			if d.NextArg() {
				return d.ArgErr()
			}
			room.Durable = true
		case "memory":
			if d.NextArg() {
				return d.ArgErr()
			}
			room.Memory = true
		case "anonymous":
			var what string
			if !d.AllArgs(&what) {
				return d.ArgErr()
			}
			if what != "write" {
				return d.Errf("anonymous can only be write, not %q", what)
			}
			room.AnonymousWrite = true
		case "cells":
			if err := room.unmarshalCells(d); err != nil {
				return err
			}
		case "sessions":
			var n string
			if !d.AllArgs(&n) {
				return d.ArgErr()
			}
			var err error
			if room.Sessions, err = strconv.Atoi(n); err != nil || room.Sessions <= 0 {
				return d.Errf("sessions of room %q: %q is not a positive number", room.Name, n)
			}
		default:
			return d.Errf("unknown option %q of room %q: there are password, identity, redeliver, durable, memory, anonymous, cells, sessions and channel", d.Val(), room.Name)
		}
	}
	h.Rooms = append(h.Rooms, room)
	return nil
}

func (r *Room) unmarshalCells(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 1 || len(args) > 2 {
		return d.ArgErr()
	}
	r.Cells = args[0]
	mode, err := engine.ParseCellsMode(r.Cells)
	switch {
	case err != nil:
		return d.WrapErr(err)
	case len(args) == 1:
		return nil
	case mode == genosrtc.CellsOff:
		return d.Errf("cells off of room %q takes no size", r.Name)
	}
	if r.CellSize, err = strconv.Atoi(args[1]); err != nil || r.CellSize <= 0 {
		return d.Errf("cells of room %q: %q is not a positive number of peers", r.Name, args[1])
	}
	return nil
}

func (l *Limits) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	once := make(options)
	for d.NextBlock(1) {
		if err := once.add(d); err != nil {
			return err
		}
		limit, parse := (*int)(nil), strconv.Atoi
		switch d.Val() {
		case "resume":
			if err := unmarshalDuration(d, &l.Resume); err != nil {
				return err
			}
			continue
		case "sessions":
			limit = &l.Sessions
		case "per_address":
			limit = &l.PerAddress
		case "message":
			limit, parse = &l.Message, parseSize
		case "pending":
			limit, parse = &l.Pending, parseSize
		case "rate":
			limit, parse = &l.Rate, parsePerSecond
		default:
			return d.Errf("unknown limit %q: there are sessions, per_address, message, pending, resume and rate", d.Val())
		}
		name, value := d.Val(), ""
		if !d.AllArgs(&value) {
			return d.ArgErr()
		}
		n, err := parse(value)
		if err != nil || n <= 0 {
			if name == "rate" {
				return d.Errf("limit rate: %q is not of the form 100/s", value)
			}
			return d.Errf("limit %s: %q is not a positive number", name, value)
		}
		*limit = n
	}
	return nil
}

func unmarshalDuration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	name, value := d.Val(), ""
	if !d.AllArgs(&value) {
		return d.ArgErr()
	}
	v, err := caddy.ParseDuration(value)
	if err != nil || v <= 0 {
		return d.Errf("limit %s: %q is not a duration such as 90s or 2m", name, value)
	}
	*into = caddy.Duration(v)
	return nil
}

func parseSize(s string) (int, error) {
	n, err := humanize.ParseBytes(s)
	return int(min(n, 1<<31)), err
}

// parsePerSecond reads a number of messages a second, such as 100/s.
func parsePerSecond(s string) (int, error) {
	n, ok := strings.CutSuffix(s, "/s")
	if !ok {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(n)
}

// options are the names that a block of the Caddyfile has had.
type options map[string]struct{}

// add notes the option that the dispenser is at, which may come only once.
func (o options) add(d *caddyfile.Dispenser) error {
	if _, ok := o[d.Val()]; ok {
		return d.Errf("option %q is given twice", d.Val())
	}
	o[d.Val()] = struct{}{}
	return nil
}
