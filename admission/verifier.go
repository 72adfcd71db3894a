package admission

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// Why a token is refused. The errors of Verify wrap one of them, and have no
// part of the token.
var (
	ErrInvalid = errors.New("the token is not valid")
	ErrExpired = errors.New("the token has expired")
	ErrRoom    = errors.New("the token is not for this room")
)

const (
	// Leeway is how far the clocks of who mints tokens and who verifies them may
	// differ.
	Leeway = 10 * time.Second
	// maxToken bounds what is parsed: what an HTTP header can be expected to
	// carry.
	maxToken = 8 << 10
)

// Verifier judges tokens. It is safe for use by several goroutines.
type Verifier struct {
	key    any
	parser *jwt.Parser
}

// NewVerifier makes a verifier of tokens that are signed as cfg says. It fails
// if cfg is not valid, with an error that has no part of the key.
func NewVerifier(cfg Config) (*Verifier, error) {
	method, err := cfg.check()
	if err != nil {
		return nil, err
	}
	key, err := cfg.publicKey(method)
	if err != nil {
		return nil, err
	}
	return &Verifier{key: key, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{cfg.Algorithm}), jwt.WithAudience(cfg.Audience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(Leeway), jwt.WithStrictDecoding(),
	)}, nil
}

// Verify returns what a token allows in a room. Its grant ends when Verify would
// begin to refuse the token.
func (v *Verifier) Verify(token, room string) (session.Grant, error) {
	if len(token) > maxToken {
		return session.Grant{}, fmt.Errorf("%w: it is longer than %d bytes", ErrInvalid, maxToken)
	}
	var said claims
	if _, err := v.parser.ParseWithClaims(token, &said, func(*jwt.Token) (any, error) { return v.key, nil }); err != nil {
		return session.Grant{}, refused(err)
	}
	if said.Rooms != nil && !slices.ContainsFunc(said.Rooms, func(pattern string) bool {
		ok, err := path.Match(pattern, room)
		return ok && err == nil
	}) {
		return session.Grant{}, ErrRoom
	}
	return session.Grant{
		User: said.User, Publish: said.Publish, Subscribe: said.Subscribe,
		Expires: said.ExpiresAt.Add(Leeway),
	}, nil
}

// refused says why without repeating what the token says.
func refused(err error) error {
	if errors.Is(err, jwt.ErrTokenExpired) {
		return ErrExpired
	}
	for _, e := range []error{
		jwt.ErrTokenMalformed, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenRequiredClaimMissing,
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenNotValidYet,
	} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrInvalid, e)
		}
	}
	return fmt.Errorf("%w: a claim is wrong", ErrInvalid)
}
