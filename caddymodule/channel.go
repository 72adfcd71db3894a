package caddymodule

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/genosrtc/caddy-genosrtc"
)

// Channel is what may be sent on a channel of a room. What a session sends
// against it is refused.
type Channel struct {
	// The channel's name. Required.
	Name string `json:"name"`

	// How large a message or a transfer may be, in bytes of its data and meta.
	// Default: as large as any.
	MaxSize int `json:"max_size,omitempty"`

	// How many messages one sender may send: `20/s`, `100/m` or `5/10s`. So many
	// may come at once, and more as the time passes. Default: any number.
	Rate string `json:"rate,omitempty"`

	// The file of a JSON Schema, drafts 4 to 2020-12, that data must fit. It must
	// not refer to others. The channel then takes neither bytes nor transfers.
	// The file is read when the configuration is loaded. Default: none.
	Schema string `json:"schema,omitempty"`

	// Whether what browsers send against the rules is kept from sessions. It is
	// counted in any case, and reaches other browsers in any case, to whom they
	// send it themselves. Default: false.
	Enforce bool `json:"enforce,omitempty"`
}

// unmarshal reads the option:
//
//	channel <name> {
//		max_size <size>
//		rate     <messages>/<time>
//		schema   <file>
//		enforce
//	}
func (c *Channel) unmarshal(d *caddyfile.Dispenser) error {
	if !d.AllArgs(&c.Name) {
		return d.ArgErr()
	}
	if err := checkLiteral(c.Name, checkChannel); err != nil {
		return d.WrapErr(err)
	}
	once := make(options)
	for d.NextBlock(2) {
		if err := once.add(d); err != nil {
			return err
		}
		var size string
		switch d.Val() {
		case "max_size":
			if !d.AllArgs(&size) {
				return d.ArgErr()
			}
			var err error
			if c.MaxSize, err = parseSize(size); err != nil || c.MaxSize <= 0 {
				return d.Errf("max_size: %q is not a size such as 64KiB", size)
			}
		case "rate":
			if !d.AllArgs(&c.Rate) {
				return d.ArgErr()
			}
			if err := checkLiteral(c.Rate, checkRate); err != nil {
				return d.WrapErr(err)
			}
		case "schema":
			if !d.AllArgs(&c.Schema) {
				return d.ArgErr()
			}
		case "enforce":
			if d.NextArg() {
				return d.ArgErr()
			}
			c.Enforce = true
		default:
			return d.Errf("unknown option %q of channel %q: there are max_size, rate, schema and enforce", d.Val(), c.Name)
		}
	}
	return nil
}

// rule makes the channel's rule, with placeholders replaced and the schema read.
func (c *Channel) rule(repl *caddy.Replacer) (genosrtc.Rule, error) {
	rule := genosrtc.Rule{MaxSize: c.MaxSize, Enforce: c.Enforce}
	var err error
	if rule.Channel, err = expand(repl, "channel", c.Name); err != nil {
		return rule, err
	}
	if c.Rate != "" {
		text, err := expand(repl, "rate", c.Rate)
		if err == nil {
			rule.Rate, err = parseRate(text)
		}
		if err != nil {
			return rule, fmt.Errorf("channel %q: %w", rule.Channel, err)
		}
	}
	if c.Schema != "" {
		file, err := expand(repl, "schema", c.Schema)
		if err == nil {
			rule.Schema, err = os.ReadFile(file)
		}
		if err != nil {
			return rule, fmt.Errorf("channel %q: schema: %w", rule.Channel, err)
		}
	}
	return rule, nil
}

// parseRate reads a number of messages, a slash and a time, whose number may be
// left out if it is 1.
func parseRate(v string) (rate genosrtc.Rate, err error) {
	messages, per, ok := strings.Cut(v, "/")
	if ok {
		rate.Messages, err = strconv.Atoi(messages)
	}
	if ok && err == nil {
		if per != "" && (per[0] < '0' || per[0] > '9') {
			per = "1" + per
		}
		rate.Per, err = caddy.ParseDuration(per)
	}
	if !ok || err != nil || rate.Messages <= 0 || rate.Per <= 0 {
		return genosrtc.Rate{}, fmt.Errorf("rate %q is not of the form 20/s, 100/m or 5/10s", v)
	}
	return rate, nil
}

func checkRate(v string) error {
	_, err := parseRate(v)
	return err
}
