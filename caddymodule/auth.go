package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

// Auth is who may enter the rooms of a site. Each of these opens them, and so
// does the password of a room that has one.
type Auth struct {
	// Tokens (JWT) that clients show. Default: they are not looked at.
	JWT *JWT `json:"jwt,omitempty"`

	// The user whom Caddy has authenticated before the request came here, usually
	// `{http.auth.user.id}`; where it is empty there is none. Default: it is not
	// looked at.
	User string `json:"user,omitempty"`
}

// JWT is how tokens are signed.
type JWT struct {
	// The algorithm, the only one that is accepted: `HS256`, `HS384`, `HS512`,
	// `RS256`, `RS384`, `RS512`, `ES256`, `ES384`, `ES512` or `EdDSA`. Required.
	Algorithm string `json:"algorithm,omitempty"`

	// The secret of HS256, HS384 and HS512, at least 32, 48 or 64 bytes; of the
	// others the public key in PEM. Use a placeholder such as `{env.JWT_KEY}` or
	// `{file.<path>}` to keep it out of the configuration. Required.
	Key string `json:"key,omitempty"`

	// What the claim `aud` of tokens must be, or have in its list. Required.
	Audience string `json:"audience,omitempty"`
}

const defaultUser = "{http.auth.user.id}"

// unmarshal reads one of the options:
//
//	auth jwt {
//		algorithm <name>
//		key       <key>
//		audience  <audience>
//	}
//	auth caddy [<user>]
func (a *Auth) unmarshal(d *caddyfile.Dispenser) error {
	var method string
	if !d.Args(&method) {
		return d.ArgErr()
	}
	switch {
	case method == "jwt" && a.JWT != nil, method == "caddy" && a.User != "":
		return d.Errf("auth %s is given twice", method)
	case method == "jwt":
		return a.unmarshalJWT(d)
	case method == "caddy":
		a.User = defaultUser
		if d.NextArg() {
			a.User = d.Val()
		}
		if d.NextArg() || a.User == "" {
			return d.ArgErr()
		}
		return nil
	}
	return d.Errf("auth %q: there are jwt and caddy", method)
}

func (a *Auth) unmarshalJWT(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	a.JWT = new(JWT)
	once := make(options)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.add(d); err != nil {
			return err
		}
		into := map[string]*string{"algorithm": &a.JWT.Algorithm, "key": &a.JWT.Key, "audience": &a.JWT.Audience}[d.Val()]
		if into == nil {
			return d.Errf("unknown option %q of auth jwt: there are algorithm, key and audience", d.Val())
		}
		if !d.AllArgs(into) {
			return d.ArgErr()
		}
	}
	if a.JWT.Algorithm == "" || a.JWT.Key == "" || a.JWT.Audience == "" {
		return d.Err("auth jwt needs algorithm, key and audience")
	}
	return checkLiteral(a.JWT.Algorithm, func(v string) error {
		if !slices.Contains(admission.Algorithms, v) {
			return d.Errf("algorithm %q: there are %v", v, admission.Algorithms)
		}
		return nil
	})
}

// provision replaces the placeholders, but for those of User, which each request
// has its own of.
func (a Auth) provision(repl *caddy.Replacer) (auth handler.Auth, err error) {
	if a.User != "" {
		auth.User = func(r *http.Request) string {
			if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
				return repl.ReplaceAll(a.User, "")
			}
			return ""
		}
	}
	if a.JWT == nil {
		return auth, nil
	}
	var cfg admission.Config
	if cfg.Algorithm, err = expand(repl, "algorithm", a.JWT.Algorithm); err != nil {
		return auth, err
	}
	if cfg.Audience, err = expand(repl, "audience", a.JWT.Audience); err != nil {
		return auth, err
	}
	key, err := repl.ReplaceOrErr(a.JWT.Key, true, true)
	if err != nil {
		// The error would repeat a part of the key.
		return auth, errors.New("auth jwt: a placeholder in the key is unknown or empty")
	}
	cfg.Key = []byte(key)
	if auth.Tokens, err = admission.NewVerifier(cfg); err != nil {
		return auth, fmt.Errorf("auth jwt: %w", err)
	}
	return auth, nil
}
