package signaling

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"pgregory.net/rapid"
)

func key(t testing.TB, password, room string) envelopeKey {
	t.Helper()
	k, err := newEnvelopeKey(password, room)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keyOf(t testing.TB, raw []byte) envelopeKey {
	t.Helper()
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return envelopeKey{block, gcm}
}

func TestWhatIsSealedOpens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		password, room := rapid.String().Draw(rt, "password"), rapid.String().Draw(rt, "room")
		text := rapid.StringN(1, -1, maxDescription).Draw(rt, "description")
		k := key(t, password, room)
		sealed, err := k.seal(text, newIV())
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := k.open(sealed); err != nil || got != text {
			rt.Fatalf("opened %q, %v", got, err)
		}
		if _, err := key(t, password+"x", room).open(sealed); !errors.Is(err, errSealed) {
			rt.Fatalf("a wrong password: %v", err)
		}
	})
}

func TestIVIsNeverUsedTwice(t *testing.T) {
	if bytes.Equal(newIV(), newIV()) || len(newIV()) != 12 {
		t.Error("IVs repeat, or have the wrong size")
	}
}

func TestEnvelopesOfOtherIVSizesOpen(t *testing.T) {
	k := key(t, "secret", "room")
	for _, size := range []int{minIVSize, 12, 16, maxIVSize} {
		gcm, err := cipher.NewGCMWithNonceSize(k.block, size)
		if err != nil {
			t.Fatal(err)
		}
		iv := bytes.Repeat([]byte{7}, size)
		envelope := strings.TrimSuffix(strings.Repeat("7,", size), ",") + "$" +
			base64.StdEncoding.EncodeToString(gcm.Seal(nil, iv, []byte("v=0"), nil))
		if got, err := k.open(envelope); err != nil || got != "v=0" {
			t.Errorf("IV of %d bytes: %q, %v", size, got, err)
		}
	}
}

func TestEnvelopeBounds(t *testing.T) {
	k := key(t, "", "room")
	longest := strings.Repeat("a", maxDescription)
	sealed, err := k.seal(longest, newIV())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.open(sealed); err != nil || got != longest {
		t.Errorf("the longest description does not open: %v", err)
	}
	if _, err := k.seal(longest+"a", newIV()); err == nil {
		t.Error("a too long description is sealed")
	}
	offer := content{
		kind:     engine.Offer,
		peer:     strings.Repeat("p", engine.MaxPeerID),
		typ:      strings.Repeat("t", maxType),
		envelope: sealed,
	}
	if text, err := offer.encode(); err != nil || len(text) > maxContent {
		t.Errorf("the longest offer has %d bytes, above %d: %v", len(text), maxContent, err)
	}
}

func TestWhatIsNoEnvelope(t *testing.T) {
	k := key(t, "", "room")
	good, err := k.seal("v=0", newIV())
	if err != nil {
		t.Fatal(err)
	}
	iv, text, _ := strings.Cut(good, "$")
	tooLong := base64.StdEncoding.EncodeToString(make([]byte, maxDescription+100))
	empty, _ := k.seal("", newIV())
	binary, _ := k.seal("\xff\xfe", newIV())
	for name, c := range map[string]struct {
		envelope string
		want     error
	}{
		"nothing":        {"", errEnvelope},
		"no iv":          {"$" + text, errEnvelope},
		"no separator":   {text, errEnvelope},
		"short iv":       {"1,2,3$" + text, errEnvelope},
		"long iv":        {strings.Repeat("1,", maxIVSize) + "1$" + text, errEnvelope},
		"number too big": {"256" + iv[strings.Index(iv, ","):] + "$" + text, errEnvelope},
		"no number":      {"x" + iv[strings.Index(iv, ","):] + "$" + text, errEnvelope},
		"no base64":      {iv + "$!" + text, errEnvelope},
		"too long":       {iv + "$" + tooLong, errEnvelope},
		"no tag":         {iv + "$AAAA", errSealed},
		"nothing sealed": {iv + "$", errSealed},
		"empty":          {empty, errEnvelope},
		"not utf-8":      {binary, errEnvelope},
		"wrong iv":       {"1,2,3,4,5,6,7,8,9,10,11,12$" + text, errSealed},
	} {
		if got, err := k.open(c.envelope); !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v; want %v", name, got, err, c.want)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	k, err := newEnvelopeKey("", "room")
	if err != nil {
		f.Fatal(err)
	}
	good, err := k.seal("v=0\r\n", make([]byte, ivSize))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, envelope string) {
		text, err := k.open(envelope)
		if err == nil && (text == "" || len(text) > maxDescription) {
			t.Errorf("opened a description of %d bytes", len(text))
		}
		if err != nil && !errors.Is(err, errEnvelope) && !errors.Is(err, errSealed) {
			t.Errorf("unknown error %v", err)
		}
	})
}
