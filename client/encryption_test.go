package client

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// vector is one of docs/encryption.json, which was made with other software, and
// which the JavaScript client is tested with too.
type vector struct {
	Passphrase, Room, Channel string
	Key, Nonce, Plain, Data   string // hex
	From                      []string
	Kind                      string
	Meta                      *meta
	Payload                   string // hex
}

func vectors(t *testing.T) (list []vector) {
	t.Helper()
	text, err := os.ReadFile("../docs/encryption.json")
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// quickSecret is that of the channel "secret" of the scripts' room, where keys
// are made quickly until the end of the test.
func quickSecret(t testing.TB) *secret {
	t.Helper()
	all := sealIterations
	sealIterations = 1
	t.Cleanup(func() { sealIterations = all })
	s, err := newSecret("a/b", "secret", "pass")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncryptionVectors(t *testing.T) {
	secrets := map[[3]string]*secret{}
	for _, v := range vectors(t) {
		names := [3]string{v.Room, v.Channel, v.Passphrase}
		s, err := secrets[names], error(nil)
		if s == nil {
			if s, err = newSecret(v.Room, v.Channel, v.Passphrase); err != nil {
				t.Fatal(err)
			}
			secrets[names] = s
		}
		sealed := unhex(t, v.Data)
		if got := s.aead.Seal(slices.Clone(sealed[:13]), unhex(t, v.Nonce), unhex(t, v.Plain), s.about); !slices.Equal(got, sealed) {
			t.Errorf("%s: sealed to %x", v.Data, got)
		}
		payload := unhex(t, v.Payload)
		want := &data{payload}
		switch v.Kind {
		case KindText:
			want.v = string(payload)
		case KindJSON:
			if want.v, err = plainJSON(payload); err != nil {
				t.Fatal(err)
			}
		}
		check := func(b []byte) {
			t.Helper()
			from, d, m, err := s.open(b)
			if err != nil || !slices.Equal(from, v.From) || !reflect.DeepEqual(d.v, want.v) || !reflect.DeepEqual(m, v.Meta) {
				t.Errorf("opened %v, %v, %v: %v", from, d, m, err)
			}
		}
		check(sealed)
		again, err := s.seal(v.From, want, v.Meta)
		if err != nil {
			t.Fatal(err)
		}
		check(again.v.([]byte))

		// No byte can be changed, left out or added.
		for i := range sealed {
			bad := slices.Clone(sealed)
			bad[i] ^= 1
			if _, _, _, err := s.open(bad); err == nil {
				t.Errorf("%s: byte %d can be changed", v.Channel, i)
			}
			if _, _, _, err := s.open(sealed[:i]); err == nil {
				t.Errorf("%s: %d bytes are enough", v.Channel, i)
			}
		}
		if _, _, _, err := s.open(append(slices.Clone(sealed), 0)); err == nil {
			t.Errorf("%s: a byte can be added", v.Channel)
		}
		for _, plain := range []any{nil, "text", map[string]any{}, []byte{}} {
			if _, _, _, err := s.open(plain); err == nil {
				t.Errorf("%v counts as encrypted", plain)
			}
		}
	}
}

// Who sealed what: whatever a head says, open does not fall for it, nor fall.
func FuzzSealedHead(f *testing.F) {
	s := quickSecret(f)
	for _, seed := range []string{`{"from":["a"],"kind":"json","meta":{"a":1}}` + "\n1", `{"from":["a"],"kind":"text"}` + "\n\xff", `{"kind":"bytes"}`, "\n\n", `{"from":7}`, `{"kind":"json"}` + "\n1 2"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		nonce := make([]byte, s.aead.NonceSize())
		sealed := s.aead.Seal(append([]byte{sealVersion}, nonce...), nonce, plain, s.about)
		from, d, m, err := s.open(sealed)
		if err != nil {
			return
		}
		again, err := s.seal(from, d, m)
		if err != nil {
			t.Fatalf("%q was opened and cannot be sealed: %v", plain, err)
		}
		from2, d2, m2, err := s.open(again.v)
		if err != nil || !slices.Equal(from, from2) || !reflect.DeepEqual(d, d2) || !reflect.DeepEqual(m, m2) {
			t.Errorf("%q: %v %v %v, and then %v %v %v: %v", plain, from, d, m, from2, d2, m2, err)
		}
	})
}

// A new session has another peer id: what waits is sealed under that, also by
// another process.
func TestWaitingSendsAreSealedAnew(t *testing.T) {
	key := quickSecret(t)
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan *frame, 1)
		s := serve(t, func(n int, c *served) {
			if n == 3 {
				c.welcome(frame{Peer: "third", Mesh: "mesh"})
			} else {
				c.welcome(frame{Peer: []string{"", "first", "second"}[n]})
			}
			c.expect(opSend) // of a channel that is not encrypted
			sent <- c.expect(opSend)
			if n > 1 {
				c.next()
			}
		}, nil)
		defer s.close()
		opts := Options{Passphrases: map[string]string{"secret": "pass"}}
		r, err := s.dial(opts)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Send(t.Context(), "open", "hello"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Send(t.Context(), "secret", map[string]any{"a": 1}, Meta("beside")); err != nil {
			t.Fatal(err)
		}
		check := func(ids ...string) {
			t.Helper()
			f := <-sent
			from, d, m, err := key.open(f.Data.v)
			if err != nil || !slices.Equal(from, ids) || f.Meta != nil || f.Seq != 2 {
				t.Fatalf("sent %+v, sealed by %q: %v", f, from, err)
			}
			if !reflect.DeepEqual(d.v, map[string]any{"a": int64(1)}) || m.v != "beside" {
				t.Errorf("sealed %v, %v", d.v, m.v)
			}
		}
		check("first")
		check("second")
		state, err := r.State()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		kept, err := json.Marshal(state)
		if err != nil || strings.Contains(string(kept), "beside") {
			t.Errorf("the state tells what is encrypted: %s, %v", kept, err)
		}
		opts.State = &state
		if r, err = s.dial(opts); err != nil {
			t.Fatal(err)
		}
		check("third", "mesh")
		r.Close()
	})
}

// On an encrypted channel only what was sealed by its sender is received. All
// else is told, and acknowledged with what comes next or before.
func TestUnreadableMessages(t *testing.T) {
	key := quickSecret(t)
	seal := func(value any, from ...string) *data {
		d, err := key.seal(from, &data{value}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	tampered := seal("hello", "other")
	tampered.v.([]byte)[40] ^= 1
	synctest.Test(t, func(t *testing.T) {
		acked := make(chan uint64, 1)
		s := serve(t, func(_ int, c *served) {
			c.welcome(frame{})
			for i, d := range []*data{seal("one", "x", "other"), {"plain text"}, tampered, seal("replayed", "x"), nil, seal("two", "other"), tampered} {
				c.say(&frame{Op: opMessage, Seq: uint64(i + 1), Channel: "secret", From: "other", Data: d, Meta: &meta{"forged"}})
			}
			size := int64(5)
			c.say(&frame{Op: opBegin, Transfer: 1, From: "other", Channel: "secret", Size: &size, Kind: KindBytes})
			if f := c.expect(opCancel); f.Transfer != 1 || f.From != "other" {
				t.Errorf("answered %+v", f)
			}
			for seq := uint64(0); seq < 7; {
				seq = c.expect(opAck).Seq
			}
			acked <- 7
			c.next()
		}, nil)
		defer s.close()
		var unreadable []uint64
		r, err := s.dial(Options{
			Passphrases: map[string]string{"secret": "pass"},
			Accept:      func(Incoming) (Sink, error) { t.Error("a transfer was accepted"); return Sink{}, nil },
			Notify: func(e Event) {
				if u, ok := e.(Unreadable); ok {
					if u.Channel != "secret" || u.From != "other" || u.Err == nil {
						t.Errorf("%+v", u)
					}
					unreadable = append(unreadable, u.Seq)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := r.SendReader("secret", strings.NewReader("x"), 1, Outgoing{}); err == nil {
			t.Error("a transfer is sent as it is")
		}
		for _, want := range []string{"one", "two"} {
			m, err := r.Receive(t.Context())
			if err != nil || m.Data != want || m.Meta != nil {
				t.Fatalf("received %+v, %v", m, err)
			}
		}
		go r.Receive(r.ctx)
		<-acked
		if !slices.Equal(unreadable, []uint64{2, 3, 4, 5, 7}) {
			t.Errorf("told of %v", unreadable)
		}
	})
}
