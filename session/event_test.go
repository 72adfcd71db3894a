package session

import (
	"bytes"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Whatever is taken as data is, once encoded, taken as the same again.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `"text"`, `{"$bin":"AAEC"}`, `{"$map":{"$bin":1}}`, `[`, ` null `, `1 2`, "\xff", ``, `"\ud800"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		content, err := ReadJSON(text)
		if err != nil {
			return
		}
		w := jsonWriter{}
		w.data(content)
		again, err := ReadJSON(w.buf)
		if err != nil || again.Kind != content.Kind || !bytes.Equal(again.Data, content.Data) {
			t.Errorf("%q is %d %q, and encoded %q: %d %q, %v", text, content.Kind, content.Data, w.buf, again.Kind, again.Data, err)
		}
	})
}

func TestMessagesWithoutASession(t *testing.T) {
	m := &engine.Message{Seq: 41, Channel: "chat", From: "2Bx", Content: engine.Content{Kind: engine.Binary, Data: []byte{0, 1, 2}, Meta: []byte(`"m"`)}}
	want := `{"op":"message","seq":41,"channel":"chat","from":"2Bx","data":{"$bin":"AAEC"},"meta":"m"}`
	first, second := EncodeMessage(JSON, m), EncodeMessage(JSON, m)
	if string(first) != want || &first[0] != &second[0] {
		t.Errorf("got %s", first)
	}
	left := engine.PeerEvent{Change: engine.PeerLeave, Peer: engine.Peer{ID: "2Bx", Type: "session"}, Encodings: new(engine.EncodingCache)}
	want = `{"op":"peer","event":"leave","peer":"2Bx","type":"session"}`
	if first, second := EncodePeer(JSON, left), EncodePeer(JSON, left); string(first) != want || &first[0] != &second[0] {
		t.Errorf("got %s", first)
	}
}
