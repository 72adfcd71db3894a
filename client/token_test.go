package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	genosrtc "github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/admission"
	"github.com/genosrtc/caddy-genosrtc/client"
)

// A room is asked for its token at each connect, and goes on when one expires.
func TestToken(t *testing.T) {
	cfg := admission.Config{Algorithm: "HS256", Key: []byte(strings.Repeat("k", 32)), Audience: "demo"}
	tokens, err := admission.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(life time.Duration) string {
		token, err := admission.Mint(cfg, admission.Claims{User: "ada", Expires: time.Now().Add(life - admission.Leeway)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	s, err := genosrtc.New(genosrtc.Config{UDP: "127.0.0.1:0", Rooms: []genosrtc.Room{{Name: "demo"}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Handler(genosrtc.Site{Settings: genosrtc.Settings{Auth: genosrtc.Auth{Tokens: tokens}}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(h)
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	_, err = client.Dial(ctx, web.URL+"/genosrtc", "demo", client.Options{Token: client.StaticToken("nonsense")})
	if refused, ok := errors.AsType[*client.RefusedError](err); !ok || refused.Code != "token" || refused.Close != 1008 {
		t.Errorf("nonsense: %v", err)
	}
	var asked atomic.Int64
	resumed := make(chan struct{}, 8)
	room, err := client.Dial(ctx, web.URL+"/genosrtc", "demo", client.Options{
		Token: func(context.Context) (string, error) {
			switch asked.Add(1) {
			case 1:
				return mint(2 * time.Second), nil
			case 2:
				return "", errors.New("whoever mints tokens is away")
			}
			return mint(time.Hour), nil
		},
		Notify: func(e client.Event) {
			if _, ok := e.(client.Resumed); ok {
				resumed <- struct{}{}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer room.Close()
	select {
	case <-resumed:
	case <-ctx.Done():
		t.Fatalf("the room did not go on: %v", room.Err())
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("asked for a token %d times", n)
	}
}
