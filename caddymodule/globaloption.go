package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// parseGlobalOption makes the app of the global option, which may come once.
func parseGlobalOption(d *caddyfile.Dispenser, earlier any) (any, error) {
	if earlier != nil {
		d.Next()
		return nil, d.Err("the global option genosrtc is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "genosrtc", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the global option:
//
//	genosrtc {
//		relays    <url...>
//		relay     open
//		udp       <address>
//		interfaces <name or network...>
//		public_ip <ip...>
//		stun      <url...>
//		turn {
//			secret      <secret>
//			ports       <first>-<last>
//			lifetime    <duration>
//			allocations <number>
//			per_user    <number>
//			per_address <number>
//		}
//		storage   <folder>
//	}
//
// All is optional, but for the secret of turn.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	once := make(options)
	for d.NextBlock(0) {
		if err := once.add(d); err != nil {
			return err
		}
		switch d.Val() {
		case "relays":
			if err := list(d, &a.Relays, checkRelay); err != nil {
				return err
			}
		case "relay":
			var mode string
			if !d.AllArgs(&mode) {
				return d.ArgErr()
			}
			if mode != "open" {
				return d.Errf("relay can only be open, not %q; to use other relays, see relays", mode)
			}
			a.RelayOpen = true
		case "udp":
			if !d.AllArgs(&a.UDP) {
				return d.ArgErr()
			}
			if err := checkLiteral(a.UDP, checkUDP); err != nil {
				return d.WrapErr(err)
			}
		case "interfaces":
			if err := list(d, &a.Interfaces, checkInterface); err != nil {
				return err
			}
		case "public_ip":
			if err := list(d, &a.PublicIPs, checkIP); err != nil {
				return err
			}
		case "stun":
			if err := list(d, &a.STUN, checkSTUN); err != nil {
				return err
			}
		case "turn":
			a.TURN = new(TURN)
			if err := a.TURN.unmarshal(d); err != nil {
				return err
			}
		case "storage":
			if !d.AllArgs(&a.Storage) {
				return d.ArgErr()
			}
		default:
			return d.Errf("unknown option %q of genosrtc: there are relays, relay, udp, interfaces, public_ip, stun, turn and storage", d.Val())
		}
	}
	return nil
}
