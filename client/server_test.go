package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	genosrtc "github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/client"
)

// startServer starts a real server with the room "demo" and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	s, err := genosrtc.New(genosrtc.Config{UDP: "127.0.0.1:0", Rooms: []genosrtc.Room{{Name: "demo"}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Handler(genosrtc.Site{})
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
	return web.URL + "/genosrtc"
}

// cutter makes TCP connections that break after so many bytes each way, one
// number after the other; when they are used up, connections last.
type cutter struct {
	mu    sync.Mutex
	after []int
	cuts  int
}

func (k *cutter) client(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if len(k.after) == 0 {
			return c, nil
		}
		frail := &frailConn{Conn: c, k: k}
		frail.left.Store(int64(k.after[0]))
		k.after = k.after[1:]
		return frail, nil
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type frailConn struct {
	net.Conn
	k    *cutter
	left atomic.Int64
}

func (c *frailConn) use(n int) (int, error) {
	left := c.left.Add(-int64(n))
	if left >= 0 {
		return n, nil
	}
	if left+int64(n) >= 0 {
		c.k.mu.Lock()
		c.k.cuts++
		c.k.mu.Unlock()
	}
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Conn.Close()
	return max(0, n+int(left)), errors.New("cut")
}

func (c *frailConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		return n, err
	}
	return c.use(n)
}

func (c *frailConn) Write(b []byte) (int, error) {
	if left := c.left.Load(); int64(len(b)) > left && left > 0 {
		c.Conn.Write(b[:left]) // a part gets through
	}
	if n, err := c.use(len(b)); err != nil {
		return n, err
	}
	return c.Conn.Write(b)
}

func join(t *testing.T, url string, o client.Options) *client.Room {
	t.Helper()
	r, err := client.Dial(t.Context(), url, "demo", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// TestNothingIsLostOverCuts is the promise: over any cuts of both sides'
// connections a receiver's log equals the sender's.
func TestNothingIsLostOverCuts(t *testing.T) {
	url := startServer(t)
	cuts := 0
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.SliceOfN(rapid.IntRange(300, 6000), 0, 3)
		a, b := &cutter{after: at.Draw(rt, "alice")}, &cutter{after: at.Draw(rt, "bob")}
		bob := join(t, url, client.Options{HTTPClient: b.client(t), JSON: rapid.Bool().Draw(rt, "json")})
		alice := join(t, url, client.Options{HTTPClient: a.client(t)})
		const messages = 200
		go func() {
			for i := range messages {
				if seq, err := alice.Send(t.Context(), "chat", i, client.To(bob.Peer())); err != nil || seq != uint64(i+1) {
					t.Errorf("send %d: %d, %v", i, seq, err)
				}
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for i := range messages {
			m, err := bob.Receive(ctx)
			if err != nil || m.Data != int64(i) || m.From != alice.Peer() {
				rt.Fatalf("message %d: %+v, %v", i, m, err)
			}
		}
		if err := alice.Wait(ctx, messages); err != nil {
			rt.Fatal(err)
		}
		if err := errors.Join(alice.Leave(ctx), bob.Leave(ctx)); err != nil {
			t.Logf("leave: %v", err)
		}
		cuts += a.cuts + b.cuts
	})
	t.Logf("%d cuts", cuts)
}

// TestTransfersGoOnOverCuts moves a file while both sides' connections break.
func TestTransfersGoOnOverCuts(t *testing.T) {
	url := startServer(t)
	cuts := 0
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(0, 2<<20).Draw(rt, "size")
		at := rapid.SliceOfN(rapid.IntRange(300, 1<<20), 0, 2)
		a, b := &cutter{after: at.Draw(rt, "alice")}, &cutter{after: at.Draw(rt, "bob")}
		payload := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(size)}).Read(payload)
		file, err := os.Create(filepath.Join(t.TempDir(), fmt.Sprint("file", size)))
		if err != nil {
			rt.Fatal(err)
		}
		defer file.Close()
		done := make(chan error, 1)
		bob := join(t, url, client.Options{HTTPClient: b.client(t), Accept: func(in client.Incoming) (client.Sink, error) {
			if in.Channel != "file" || in.Size != int64(size) || in.Kind != client.KindBytes {
				t.Errorf("incoming: %+v", in)
			}
			return client.Sink{Store: file, Done: func(err error) { done <- err }}, nil
		}})
		alice := join(t, url, client.Options{HTTPClient: a.client(t)})
		var acked int64
		u, err := alice.SendReader("file", bytes.NewReader(payload), int64(size), client.Outgoing{
			Options:  []client.SendOption{client.To(bob.Peer())},
			Progress: func(n int64) { acked = n },
		})
		if err != nil {
			rt.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if results, err := u.Wait(ctx); err != nil || len(results) > 0 {
			rt.Fatalf("transfer: %v, %v; %d of %d", results, err, u.Acked(), size)
		}
		if err := <-done; err != nil {
			rt.Fatal(err)
		}
		got, err := os.ReadFile(file.Name())
		if err != nil || !bytes.Equal(got, payload) || acked > int64(size) {
			rt.Fatalf("%d of %d bytes, %d acknowledged, %v", len(got), size, acked, err)
		}
		alice.Close()
		bob.Close()
		cuts += a.cuts + b.cuts
	})
	t.Logf("%d cuts", cuts)
}
