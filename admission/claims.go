package admission

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token says of its bearer. Patterns are those of path.Match;
// nil lists allow everything, empty ones nothing.
type Claims struct {
	User      string
	Rooms     []string
	Publish   []string
	Subscribe []string
	NotBefore time.Time // zero: at once
	Expires   time.Time // required
}

// claims are Claims in a token.
type claims struct {
	jwt.RegisteredClaims
	User      string   `json:"user,omitzero"`
	Rooms     []string `json:"rooms,omitzero"` // omitzero keeps a list that is empty
	Publish   []string `json:"publish,omitzero"`
	Subscribe []string `json:"subscribe,omitzero"`
}

const maxUser = 256

// lastExpiry is the end of what a time can be written as (RFC 3339).
var lastExpiry = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

// Validate implements jwt.ClaimsValidator.
func (c *claims) Validate() error {
	if len(c.User) > maxUser {
		return fmt.Errorf("user has %d bytes, at most %d", len(c.User), maxUser)
	}
	for name, patterns := range map[string][]string{"rooms": c.Rooms, "publish": c.Publish, "subscribe": c.Subscribe} {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil {
				return fmt.Errorf("%s has %q, which is no pattern", name, p)
			}
		}
	}
	if c.ExpiresAt != nil && !c.ExpiresAt.Before(lastExpiry) {
		return errors.New("exp is no time")
	}
	return nil
}

// Mint makes a token that says claims. Where the algorithm is not one of HMAC,
// the key is the private one.
func Mint(cfg Config, c Claims) (token string, err error) {
	method, err := cfg.check()
	if err != nil {
		return "", err
	}
	key, err := cfg.privateKey(method)
	if err != nil {
		return "", err
	}
	if c.Expires.IsZero() {
		return "", errors.New("a token must expire")
	}
	said := &claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Audience: jwt.ClaimStrings{cfg.Audience}, ExpiresAt: jwt.NewNumericDate(c.Expires),
		},
		User: c.User, Rooms: c.Rooms, Publish: c.Publish, Subscribe: c.Subscribe,
	}
	if !c.NotBefore.IsZero() {
		said.NotBefore = jwt.NewNumericDate(c.NotBefore)
	}
	if err := said.Validate(); err != nil {
		return "", err
	}
	if token, err = jwt.NewWithClaims(method, said).SignedString(key); err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	return token, nil
}
