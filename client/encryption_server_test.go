package client_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	genosrtc "github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/client"
)

// Over a real server: who has the passphrase reads it, nobody else does, nor can
// repeat it under another name; and it stands in none of the server's files.
func TestEncryptionEndToEnd(t *testing.T) {
	folder := t.TempDir()
	s, err := genosrtc.New(genosrtc.Config{
		UDP: "127.0.0.1:0", Storage: folder, Rooms: []genosrtc.Room{{Name: "demo"}}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Handler(genosrtc.Site{})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(h)
	defer web.Close()

	unreadable := make(chan client.Unreadable, 16)
	join := func(passphrase string, json bool) *client.Room {
		opts := client.Options{JSON: json, Notify: func(e client.Event) {
			if u, ok := e.(client.Unreadable); ok {
				unreadable <- u
			}
		}}
		if passphrase != "" {
			opts.Passphrases = map[string]string{"secret": passphrase}
		}
		r, err := client.Dial(t.Context(), web.URL+"/genosrtc", "demo", opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	alice, bob, eve := join("the passphrase", false), join("the passphrase", true), join("", false)
	receive := func(r *client.Room) client.Message {
		t.Helper()
		m, err := r.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	send := func(r *client.Room, channel string, value any, opts ...client.SendOption) {
		t.Helper()
		seq, err := r.Send(t.Context(), channel, value, opts...)
		if err == nil {
			err = r.Wait(t.Context(), seq)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	send(alice, "secret", "plaintext of alice", client.Meta("plainmeta of alice"))
	if m := receive(bob); m.Data != "plaintext of alice" || m.Meta != "plainmeta of alice" || m.From != alice.Peer() {
		t.Errorf("bob received %+v", m)
	}
	sealed, ok := receive(eve).Data.([]byte)
	if !ok || bytes.Contains(sealed, []byte("plain")) {
		t.Errorf("eve received %q", sealed)
	}

	// As it is, it is no message of eve's; a changed one is nobody's.
	changed := bytes.Clone(sealed)
	changed[len(changed)/2] ^= 1
	for _, data := range []any{sealed, changed, "plain"} {
		send(eve, "secret", data, client.To(bob.Peer()))
		if u := <-unreadable; u.From != eve.Peer() {
			t.Errorf("%+v", u)
		}
	}
	send(eve, "open", "control text of eve")
	if m := receive(bob); m.Data != "control text of eve" {
		t.Errorf("bob received %+v", m)
	}
	for _, r := range []*client.Room{alice, bob, eve} {
		r.Close()
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	control, files := false, 0
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files++
		control = control || bytes.Contains(content, []byte("control text"))
		for _, plain := range []string{"plaintext", "plainmeta", "the passphrase"} {
			if bytes.Contains(content, []byte(plain)) {
				t.Errorf("%s has %q", strings.TrimPrefix(path, folder), plain)
			}
		}
		return err
	})
	if err != nil || files < 2 || !control {
		t.Errorf("%d files, with the control text: %t; %v", files, control, err)
	}
}
