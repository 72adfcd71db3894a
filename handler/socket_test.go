package handler

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// pipes is a network in memory, for tests in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// virtual serves sessions on a network in memory. dial opens one and returns
// the far end of its connection too, for what the library does not do.
func virtual(t *testing.T) (h *Handler, dial func() (*client, net.Conn)) {
	e := memnet.New().Endpoint("server")
	logger := slog.New(slog.DiscardHandler)
	node := engine.New(engine.Config{Signaling: e, Transport: e, Logger: logger})
	if _, err := node.Open(engine.RoomConfig{Name: "demo"}); err != nil {
		t.Fatal(err)
	}
	h, err := New(Config{Engine: node, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	network := pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: h}
	go server.Serve(network)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		h.Close(ctx)
		server.Close()
		node.Close(context.Background())
	})
	return h, func() (*client, net.Conn) {
		var far net.Conn
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			network.conns <- theirs
			far = ours
			return ours, nil
		}}
		ws, _, err := websocket.Dial(t.Context(), "ws://server/genosrtc/rooms/demo/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		ws.SetReadLimit(-1)
		t.Cleanup(func() { ws.CloseNow() })
		c := &client{t: t, ws: ws}
		c.say(`{"op":"hello"}`)
		c.id = c.hear("welcome")["peer"].(string)
		return c, far
	}
}

// TestKeepAlive: a client that answers pings stays for as long as it likes, one
// that does not is noticed.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, dial := virtual(t)
		alive, _ := dial()
		_, far := dial()
		go func() {
			for {
				if _, _, err := alive.ws.Read(context.Background()); err != nil {
					return
				}
			}
		}()
		go io.Copy(io.Discard, far) // takes pings, and says nothing
		synctest.Wait()
		time.Sleep(2*socketPingEvery - time.Second)
		if n := h.Stats().Sessions; n != 2 {
			t.Errorf("%d sessions after %v", n, socketPingEvery)
		}
		time.Sleep(2 * time.Second)
		if n := h.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions, want the dead one to be gone", n)
		}
		time.Sleep(time.Hour)
		if n := h.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions, want the living one to stay", n)
		}
	})
}

// frame is a masked frame, as clients send them, with a mask of zeros.
func frame(opcode byte, payload []byte) []byte {
	b := []byte{opcode}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

// TestSlowUpload: a client whose pong is stuck behind a large message lives.
func TestSlowUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, dial := virtual(t)
		_, far := dial()
		got := make(chan []byte, 1000)
		go func() {
			defer close(got)
			for {
				b := make([]byte, 1000)
				n, err := far.Read(b)
				if err != nil {
					return
				}
				got <- b[:n]
			}
		}()
		message := frame(opText, []byte(`{"op":"send","seq":1,"channel":"c","data":"`+strings.Repeat("x", 100_000)+`"}`))
		start := time.Now()
		for len(message) > 0 {
			n := min(len(message), 3000)
			if _, err := far.Write(message[:n]); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			message = message[n:]
			time.Sleep(5 * time.Second)
		}
		if d := time.Since(start); d < 2*time.Minute {
			t.Fatalf("the upload took only %v", d)
		}
		var all []byte
		for !bytes.Contains(all, []byte(`{"op":"ack","seq":1}`)) {
			all = append(all, <-got...)
		}
		if n := h.Stats().Sessions; n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

// TestSlowDownload: a client that takes long to read a large message can ping
// meanwhile, and is pinged.
func TestSlowDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, dial := virtual(t)
		sender, _ := dial()
		_, far := dial()
		sender.say(`{"op":"send","seq":1,"channel":"c","data":%q}`, strings.Repeat("x", 1_000_000))
		sender.hear("ack")
		go func() {
			for {
				if _, _, err := sender.ws.Read(context.Background()); err != nil {
					return
				}
			}
		}()
		var all []byte
		pings := 0
		ended := func() bool { return bytes.Contains(all, []byte(`xxx"}`)) }
		for start := time.Now(); !ended() || bytes.Count(all, []byte("\x8a\x04pong")) < min(pings, 8); time.Sleep(time.Second) {
			if !ended() && len(all) > 100_000*(pings+1) {
				if _, err := far.Write(frame(0x89, []byte("pong"))); err != nil {
					t.Fatalf("after %v: %v", time.Since(start), err)
				}
				pings++
			}
			b := make([]byte, 20_000)
			n, err := far.Read(b)
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			all = append(all, b[:n]...)
		}
		if pings < 8 {
			t.Errorf("only %d pings", pings)
		}
		if n := h.Stats().Sessions; n != 2 {
			t.Errorf("%d sessions", n)
		}
	})
}

// TestSilentSince: silence counts only when the client could be heard.
func TestSilentSince(t *testing.T) {
	asked := time.Now()
	for name, c := range map[string]struct {
		reading, writing bool
		heard            time.Duration
		want             bool
	}{
		"dead":                        {true, false, -time.Second, true},
		"something came":              {true, false, time.Second, false},
		"a message is on its way":     {true, true, -time.Second, false},
		"the session reads no more":   {false, false, -time.Second, false},
		"a message came, and we rest": {false, false, time.Second, false},
	} {
		s := &socket{conn: &conn{busy: c.writing}}
		s.reading.Store(c.reading)
		s.conn.lastRead.Store(asked.Add(c.heard).UnixNano())
		if got := s.silentSince(asked); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestControlFramesAreBounded: pongs that a client provokes and does not read
// take no memory.
func TestControlFramesAreBounded(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &conn{Conn: near}
	c.idle.L = &c.mu
	done := make(chan error)
	go func() { done <- c.writeFrames(net.Buffers{[]byte("message")}, time.Now().Add(time.Minute)) }()
	eventually(t, "nobody writes", c.writing)
	pong := append([]byte{0x8a, 125}, make([]byte, 125)...)
	for range 1000 {
		if _, err := c.Write(pong); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		// Returns once the frame is written: the library closes then.
		if _, err := c.Write([]byte{opClosing, 0}); err != nil {
			t.Error(err)
		}
		<-done
		near.Close()
	}()
	all, err := io.ReadAll(far)
	if err != nil || len(all) > len("message")+maxControl+2 || !bytes.HasSuffix(all, []byte{opClosing, 0}) {
		t.Errorf("%d bytes were written, %v", len(all), err)
	}
	if err := c.writeFrames(net.Buffers{[]byte("late")}, time.Now().Add(time.Minute)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a message after the close frame: %v", err)
	}
}

func TestWriteFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := &conn{Conn: near}
		c.idle.L = &c.mu
		s := &socket{conn: c}
		begin := time.Now()
		if err := s.Write([][]byte{[]byte("never read")}, false, begin.Add(time.Minute)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took < time.Minute || took > time.Minute+deadlineSlack {
			t.Errorf("after %v", took)
		}
		// What was half written cannot be followed by anything.
		if err := s.Write([][]byte{[]byte("more")}, false, time.Now().Add(time.Minute)); err == nil {
			t.Error("a second write succeeded")
		}
	})
}

// TestFraming compares with what the library reads.
func TestFraming(t *testing.T) {
	s := serve(t, Config{})
	a, b := s.enter(), s.enter()
	for i, n := range []int{0, 1, 60, 125, 126, 4000, copied, copied + 1, 1<<16 - 100, 1 << 16, 1 << 20} {
		data := strings.Repeat("x", n)
		a.say(`{"op":"send","seq":%d,"channel":"c","data":%q}`, i+1, data)
		a.say(`{"op":"send","seq":%d,"channel":"c","data":%q}`, i+1, "repetition")
		if got := b.hear("message")["data"]; got != data {
			t.Errorf("%d bytes arrived as %.20q", n, got)
		}
		a.hear("ack")
	}
}
