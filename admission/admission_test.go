package admission

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/genosrtc/caddy-genosrtc/session"
)

var secret = []byte(strings.Repeat("secret", 11))

func hs256(t testing.TB) (Config, *Verifier) {
	t.Helper()
	cfg := Config{Algorithm: "HS256", Key: secret, Audience: "app"}
	v, err := NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, v
}

// keyed is a key's two parts: in PEM, or the secret twice.
type keyed struct {
	private, public []byte
}

func keys(t *testing.T) map[string]keyed {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]keyed)
	add := func(algorithm string, key any) {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := x509.MarshalPKIXPublicKey(key.(interface{ Public() crypto.PublicKey }).Public())
		if err != nil {
			t.Fatal(err)
		}
		all[algorithm] = keyed{
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
			pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}),
		}
	}
	for _, a := range []string{"RS256", "RS384", "RS512"} {
		add(a, rsaKey)
	}
	for a, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		add(a, key)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	add("EdDSA", ed)
	for _, a := range []string{"HS256", "HS384", "HS512"} {
		all[a] = keyed{secret, secret}
	}
	return all
}

// What is minted is what is granted, with every algorithm; and no key of one
// algorithm is taken for another.
func TestMintedIsGranted(t *testing.T) {
	all := keys(t)
	claims := Claims{
		User: "Ada L.", Rooms: []string{"team-*"}, Publish: []string{}, Subscribe: []string{"chat", "f*"},
		NotBefore: time.Now(), Expires: time.Now().Add(time.Minute).Truncate(time.Second),
	}
	want := session.Grant{User: claims.User, Publish: claims.Publish, Subscribe: claims.Subscribe, Expires: claims.Expires.Add(Leeway)}
	for _, algorithm := range Algorithms {
		token, err := Mint(Config{algorithm, all[algorithm].private, "app"}, claims)
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		for _, other := range Algorithms {
			v, err := NewVerifier(Config{other, all[other].public, "app"})
			if err != nil {
				t.Fatalf("%s: %v", other, err)
			}
			got, err := v.Verify(token, "team-red")
			switch {
			case other != algorithm && !errors.Is(err, ErrInvalid):
				t.Errorf("a token of %s with the verifier of %s: %v", algorithm, other, err)
			case other == algorithm && (err != nil || !reflect.DeepEqual(got, want)):
				t.Errorf("%s: %+v, %v; want %+v", algorithm, got, err, want)
			}
			if _, err := v.Verify(token, "red"); other == algorithm && !errors.Is(err, ErrRoom) {
				t.Errorf("another room: %v", err)
			}
		}
	}
	for name, cfg := range map[string]Config{
		"none":                  {"none", nil, "app"},
		"no algorithm":          {"", secret, "app"},
		"no audience":           {"HS256", secret, ""},
		"short secret":          {"HS512", secret[:63], "app"},
		"public key as secret":  {"HS256", all["RS256"].public, "app"},
		"private key as public": {"EdDSA", all["EdDSA"].private, "app"},
		"another kind of key":   {"ES256", all["RS256"].public, "app"},
		"another curve":         {"ES256", all["ES384"].public, "app"},
		"no key":                {"RS256", nil, "app"},
	} {
		_, err := NewVerifier(cfg)
		if err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "secretsecret") {
			t.Errorf("%s: the error has the key: %v", name, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	cfg, _ := hs256(t)
	soon := time.Now().Add(time.Hour)
	for name, claims := range map[string]Claims{
		"no end":  {},
		"user":    {Expires: soon, User: strings.Repeat("x", maxUser+1)},
		"pattern": {Expires: soon, Rooms: []string{"["}},
		"far end": {Expires: lastExpiry},
	} {
		if _, err := Mint(cfg, claims); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := Mint(Config{Algorithm: "RS256", Key: secret, Audience: "app"}, Claims{Expires: soon}); err == nil {
		t.Error("a secret is taken for a private key")
	}
}

// A grant ends when its token begins to be refused.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, v := hs256(t)
		token, err := Mint(cfg, Claims{NotBefore: time.Now().Add(time.Minute), Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(token, "x"); !errors.Is(err, ErrInvalid) {
			t.Errorf("before its time: %v", err)
		}
		time.Sleep(time.Minute - Leeway)
		grant, err := v.Verify(token, "x")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(grant.Expires) - time.Nanosecond)
		if _, err := v.Verify(token, "x"); err != nil {
			t.Errorf("before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := v.Verify(token, "x"); !errors.Is(err, ErrExpired) {
			t.Errorf("at its end: %v", err)
		}
	})
}

// Whatever comes, only what was signed is granted, and no error repeats it.
func FuzzVerify(f *testing.F) {
	cfg, v := hs256(f)
	good, err := Mint(cfg, Claims{User: "ada", Rooms: []string{"[a-z]*"}, Expires: time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("eyJhbGciOiJub25lIn0.eyJhdWQiOiJhcHAiLCJleHAiOjk5OTk5OTk5OTl9.")
	f.Add("..")
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, token string) {
		grant, err := v.Verify(token, "demo")
		switch {
		case err == nil && token != good:
			t.Errorf("granted %+v for %q", grant, token)
		case err != nil && len(token) > 20 && strings.Contains(err.Error(), token):
			t.Errorf("%v repeats the token", err)
		}
	})
}

// Whatever claims are signed: no panic, and a grant has an end that is a time.
func FuzzClaims(f *testing.F) {
	_, v := hs256(f)
	f.Add([]byte(`{"aud":"app","exp":9999999999,"user":"ada","rooms":["demo"],"publish":[],"subscribe":null}`))
	f.Add([]byte(`{"aud":["app"],"exp":1e300}`))
	f.Add([]byte(`{"aud":"app","exp":-9e18,"nbf":9e18}`))
	f.Add([]byte(`{"aud":"app","exp":9223372036854775807}`))
	f.Add([]byte(`{"aud":"app","exp":9999999999,"rooms":["["]}`))
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "."
	f.Fuzz(func(t *testing.T, claims []byte) {
		signed := head + base64.RawURLEncoding.EncodeToString(claims)
		signature, err := jwt.SigningMethodHS256.Sign(signed, secret)
		if err != nil {
			t.Fatal(err)
		}
		grant, err := v.Verify(signed+"."+base64.RawURLEncoding.EncodeToString(signature), "demo")
		if err == nil && (!grant.Expires.After(time.Now()) || grant.Expires.After(lastExpiry.Add(Leeway)) || len(grant.User) > maxUser) {
			t.Errorf("%s grants %+v", claims, grant)
		}
	})
}
