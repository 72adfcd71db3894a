package wsload

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers one connection with another library.
func serve(t *testing.T, handle func(*websocket.Conn)) *Conn {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		handle(c)
		c.CloseNow()
	}))
	t.Cleanup(server.Close)
	c, err := Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEcho(t *testing.T) {
	c := serve(t, func(c *websocket.Conn) {
		c.SetReadLimit(-1)
		for {
			kind, b, err := c.Read(context.Background())
			if err != nil {
				return
			}
			if c.Write(context.Background(), kind, b) != nil {
				return
			}
		}
	})
	var all []byte
	lengths := []int{0, 1, 125, 126, 127, 4000, bufferSize}
	for _, n := range lengths {
		all = append(all, Frame([]byte(strings.Repeat("x", n)))...)
	}
	if err := c.Send(all); err != nil {
		t.Fatal(err)
	}
	for _, n := range lengths {
		b, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != strings.Repeat("x", n) {
			t.Fatalf("%d bytes came back as %d", n, len(b))
		}
	}
}

// A ping between two messages is answered, and not seen.
func TestPing(t *testing.T) {
	ponged := make(chan error, 1)
	c := serve(t, func(c *websocket.Conn) {
		ctx := c.CloseRead(context.Background())
		ponged <- c.Ping(ctx)
		_ = c.Write(context.Background(), websocket.MessageText, []byte("after"))
		<-ctx.Done()
	})
	b, err := c.Next()
	if err != nil || string(b) != "after" {
		t.Fatalf("%q, %v", b, err)
	}
	if err := <-ponged; err != nil {
		t.Error(err)
	}
}

func TestNextSaysWhyTheServerCloses(t *testing.T) {
	c := serve(t, func(c *websocket.Conn) { _ = c.Close(websocket.StatusTryAgainLater, "slow") })
	if _, err := c.Next(); err == nil || !strings.Contains(err.Error(), "1013 slow") {
		t.Errorf("error %v", err)
	}
}

func TestNextRefusesWhatItCannotRead(t *testing.T) {
	for name, send := range map[string]func(*websocket.Conn) error{
		"binary": func(c *websocket.Conn) error {
			return c.Write(context.Background(), websocket.MessageBinary, []byte("x"))
		},
		"too large": func(c *websocket.Conn) error {
			return c.Write(context.Background(), websocket.MessageText, make([]byte, bufferSize+1))
		},
	} {
		c := serve(t, func(c *websocket.Conn) {
			_ = send(c)
			_, _, _ = c.Read(context.Background())
		})
		if b, err := c.Next(); err == nil {
			t.Errorf("%s: %d bytes", name, len(b))
		}
		c.Close()
	}
}
