// Package caddymodule is GenosRTC for Caddy: the app genosrtc, which runs the
// server, and the handler http.handlers.genosrtc, which serves it at a path of
// a site and names its rooms. It only maps configuration; the server itself is
// package genosrtc.
//
// The running server outlives reloads of the configuration, see node.
package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	_ "github.com/genosrtc/caddy-genosrtc/caddymodule/command" // caddy genosrtc …
)

func init() {
	caddy.RegisterModule((*App)(nil))
	caddy.RegisterModule((*Handler)(nil))
	caddy.RegisterModule((*Admin)(nil))
	httpcaddyfile.RegisterGlobalOption("genosrtc", parseGlobalOption)
	httpcaddyfile.RegisterDirective("genosrtc", parseDirective)
	// Before those that answer whatever comes, such as handle and respond.
	httpcaddyfile.RegisterDirectiveOrder("genosrtc", httpcaddyfile.Before, "handle")
}

// Interface guards.
var (
	_ caddy.App                   = (*App)(nil)
	_ caddy.Provisioner           = (*App)(nil)
	_ caddy.Validator             = (*App)(nil)
	_ caddy.CleanerUpper          = (*App)(nil)
	_ caddyfile.Unmarshaler       = (*App)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
	_ caddy.AdminRouter           = (*Admin)(nil)
)
