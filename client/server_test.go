package client_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
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
	return start(t, genosrtc.Config{Rooms: []genosrtc.Room{{Name: "demo"}}})
}

// start starts a real server on loopback and returns its address.
func start(t *testing.T, cfg genosrtc.Config) string {
	t.Helper()
	_, url := startWith(t, cfg)
	return url
}

func startWith(t *testing.T, cfg genosrtc.Config) (*genosrtc.Server, string) {
	t.Helper()
	cfg.UDP, cfg.Logger = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	s, err := genosrtc.New(cfg)
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
	return s, web.URL + "/genosrtc"
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

// pairs is how many pairs of clients each check has at once: they wait for
// connections to be made again, in real time.
const pairs = 5

// fewer makes rapid check 4 times, unless -rapid.checks asks for another number.
func fewer(t *testing.T) {
	f := flag.Lookup("rapid.checks")
	if was := f.Value.String(); was == f.DefValue {
		if err := f.Value.Set("4"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := f.Value.Set(was); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNothingIsLostOverCuts is the promise: over any cuts of both sides'
// connections a receiver's log equals the sender's.
func TestNothingIsLostOverCuts(t *testing.T) {
	fewer(t)
	url := startServer(t)
	var cuts atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.SliceOfN(rapid.IntRange(300, 6000), 0, 3)
		var all sync.WaitGroup
		for range pairs {
			a, b := &cutter{after: at.Draw(rt, "alice")}, &cutter{after: at.Draw(rt, "bob")}
			json := rapid.Bool().Draw(rt, "json")
			all.Go(func() {
				talk(t, url, a, b, json)
				cuts.Add(int64(a.cuts + b.cuts))
			})
		}
		all.Wait()
		if t.Failed() {
			rt.FailNow()
		}
	})
	t.Logf("%d cuts", cuts.Load())
}

// talk has one client send 200 messages to another.
func talk(t *testing.T, url string, a, b *cutter, json bool) {
	bob, err := client.Dial(t.Context(), url, "demo", client.Options{HTTPClient: b.client(t), JSON: json})
	if err != nil {
		t.Error(err)
		return
	}
	defer bob.Close()
	alice, err := client.Dial(t.Context(), url, "demo", client.Options{HTTPClient: a.client(t)})
	if err != nil {
		t.Error(err)
		return
	}
	defer alice.Close()
	const messages = 200
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		for i := range messages {
			if seq, err := alice.Send(t.Context(), "chat", i, client.To(bob.Peer())); err != nil || seq != uint64(i+1) {
				t.Errorf("send %d: %d, %v", i, seq, err)
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range messages {
		m, err := bob.Receive(ctx)
		if err != nil || m.Data != int64(i) || m.From != alice.Peer() {
			t.Errorf("message %d: %+v, %v", i, m, err)
			return
		}
	}
	if err := alice.Wait(ctx, messages); err != nil {
		t.Error(err)
	}
	if err := errors.Join(alice.Leave(ctx), bob.Leave(ctx)); err != nil {
		t.Logf("leave: %v", err)
	}
}

// TestTransfersGoOnOverCuts moves files while both sides' connections break.
func TestTransfersGoOnOverCuts(t *testing.T) {
	fewer(t)
	url := startServer(t)
	var cuts atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.SliceOfN(rapid.IntRange(300, 1<<20), 0, 2)
		var all sync.WaitGroup
		for range pairs {
			size := rapid.IntRange(0, 2<<20).Draw(rt, "size")
			a, b := &cutter{after: at.Draw(rt, "alice")}, &cutter{after: at.Draw(rt, "bob")}
			all.Go(func() {
				move(t, url, size, a, b)
				cuts.Add(int64(a.cuts + b.cuts))
			})
		}
		all.Wait()
		if t.Failed() {
			rt.FailNow()
		}
	})
	t.Logf("%d cuts", cuts.Load())
}

// move has one client send a file to another.
func move(t *testing.T, url string, size int, a, b *cutter) {
	payload := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(payload)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	done := make(chan error, 1)
	bob, err := client.Dial(t.Context(), url, "demo", client.Options{HTTPClient: b.client(t), Accept: func(in client.Incoming) (client.Sink, error) {
		if in.Channel != "file" || in.Size != int64(size) || in.Kind != client.KindBytes {
			t.Errorf("incoming: %+v", in)
		}
		return client.Sink{Store: file, Done: func(err error) { done <- err }}, nil
	}})
	if err != nil {
		t.Error(err)
		return
	}
	defer bob.Close()
	alice, err := client.Dial(t.Context(), url, "demo", client.Options{HTTPClient: a.client(t)})
	if err != nil {
		t.Error(err)
		return
	}
	defer alice.Close()
	var acked atomic.Int64
	u, err := alice.SendReader("file", bytes.NewReader(payload), int64(size), client.Outgoing{
		Options:  []client.SendOption{client.To(bob.Peer())},
		Progress: acked.Store,
	})
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if results, err := u.Wait(ctx); err != nil || len(results) > 0 {
		t.Errorf("transfer: %v, %v; %d of %d", results, err, u.Acked(), size)
		return
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	got, err := os.ReadFile(file.Name())
	if err != nil || !bytes.Equal(got, payload) || acked.Load() > int64(size) {
		t.Errorf("%d of %d bytes, %d acknowledged, %v", len(got), size, acked.Load(), err)
	}
}
