// Package admission decides by a token what a client may do in a room. Tokens
// are JWTs (RFC 7519) with these claims:
//
//   - exp and aud, which are required, and nbf, which is honoured;
//   - user: who the client is for the application, at most 256 bytes;
//   - rooms, publish, subscribe: lists of patterns of path.Match, for the rooms
//     that the token opens and the channels on which its bearer may send and of
//     which it hears. Absent: all. Empty: none.
//
// The algorithm is the configuration's, never the token's. The package knows
// no HTTP.
package admission

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Config is how tokens are signed.
type Config struct {
	// Algorithm is one of Algorithms (RFC 7518, RFC 8037).
	Algorithm string
	// Key is the secret of HS256, HS384 and HS512: as many bytes as the hash has
	// at least (RFC 7518, section 3.2). Of the others it is a key in PEM: the
	// public one (or a certificate) to verify, the private one to mint.
	Key []byte
	// Audience is what the claim aud must be, or have in its list.
	Audience string
}

// Algorithms are those that a Config can have.
var Algorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA",
}

// check returns the algorithm. Its errors never have a part of the key.
func (c Config) check() (jwt.SigningMethod, error) {
	method := jwt.GetSigningMethod(c.Algorithm)
	if !slices.Contains(Algorithms, c.Algorithm) || method == nil {
		return nil, fmt.Errorf("algorithm %q: there are %s", c.Algorithm, strings.Join(Algorithms, ", "))
	}
	if c.Audience == "" {
		return nil, errors.New("the audience is missing: tokens for other services would be taken")
	}
	if hmac, ok := method.(*jwt.SigningMethodHMAC); ok {
		switch size := hmac.Hash.Size(); {
		case strings.HasPrefix(strings.TrimSpace(string(c.Key)), "-----BEGIN "):
			return nil, fmt.Errorf("%s wants a secret, and the key is one in PEM", c.Algorithm)
		case len(c.Key) < size:
			return nil, fmt.Errorf("the key of %s must have at least %d bytes, not %d", c.Algorithm, size, len(c.Key))
		}
	}
	return method, nil
}

// publicKey is what verifies signatures.
func (c Config) publicKey(method jwt.SigningMethod) (key any, err error) {
	switch m := method.(type) {
	case *jwt.SigningMethodHMAC:
		return c.Key, nil
	case *jwt.SigningMethodRSA:
		key, err = jwt.ParseRSAPublicKeyFromPEM(c.Key)
	case *jwt.SigningMethodECDSA:
		ec, parseErr := jwt.ParseECPublicKeyFromPEM(c.Key)
		if key, err = ec, parseErr; err == nil && ec.Curve.Params().BitSize != m.CurveBits {
			err = fmt.Errorf("its curve is %s", ec.Curve.Params().Name)
		}
	case *jwt.SigningMethodEd25519:
		key, err = jwt.ParseEdPublicKeyFromPEM(c.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("the key is no public key of %s in PEM: %w", c.Algorithm, err)
	}
	return key, nil
}

// privateKey is what signs.
func (c Config) privateKey(method jwt.SigningMethod) (key any, err error) {
	switch method.(type) {
	case *jwt.SigningMethodHMAC:
		return c.Key, nil
	case *jwt.SigningMethodRSA:
		key, err = jwt.ParseRSAPrivateKeyFromPEM(c.Key)
	case *jwt.SigningMethodECDSA:
		key, err = jwt.ParseECPrivateKeyFromPEM(c.Key)
	case *jwt.SigningMethodEd25519:
		var ed crypto.PrivateKey
		ed, err = jwt.ParseEdPrivateKeyFromPEM(c.Key)
		key = ed
	}
	if err != nil {
		return nil, fmt.Errorf("the key is no private key of %s in PEM: %w", c.Algorithm, err)
	}
	return key, nil
}
