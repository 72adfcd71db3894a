package rtc_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

// guest is both ends of a guest's connection, with its data channel.
func guest(t *testing.T) (*rtc.Guest, *rtc.Channel, *webrtc.DataChannel) {
	t.Helper()
	tr, pc := transport(t), browser(t)
	dc, err := pc.CreateDataChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	dc.OnOpen(func() { close(open) })
	g, sdp, err := tr.Guest(t.Context(), offerOf(t, pc), "session")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, pc, sdp)
	await(t, "connected", g.Connected())
	await(t, "open", open)
	select {
	case c := <-g.Channel():
		return g, c, dc
	case <-time.After(20 * time.Second):
		t.Fatal("no channel")
	}
	return nil, nil, nil
}

// Messages of all sizes arrive whole, and none is larger than is told.
func TestGuestReads(t *testing.T) {
	_, c, dc := guest(t)
	for _, size := range []int{0, 1, 4096, 4097, 70_000, 256 << 10} {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(i)
		}
		if err := dc.Send(b); err != nil {
			t.Fatal(err)
		}
		got, text, err := c.Read()
		if err != nil || text || string(got) != string(b) {
			t.Fatalf("%d bytes: got %d, %v, %v", size, len(got), text, err)
		}
	}
	if err := dc.SendText("hi"); err != nil {
		t.Fatal(err)
	}
	if got, text, err := c.Read(); err != nil || !text || string(got) != "hi" {
		t.Errorf("got %q, %v, %v", got, text, err)
	}
}

// A client that does not read is not written to without end, and holds no end up.
func TestGuestThatDoesNotRead(t *testing.T) {
	g, c, dc := guest(t)
	stop := make(chan struct{})
	defer close(stop)
	dc.OnMessage(func(webrtc.DataChannelMessage) { <-stop })
	message, written := make([]byte, 64<<10), 0
	var err error
	for err == nil {
		if written > 1000 {
			t.Fatal("64 MB were taken")
		}
		written++
		err = c.Write(message, time.Now().Add(200*time.Millisecond))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	t.Logf("%d KiB were taken", written*64)
	begun := time.Now()
	if err := c.Finish([]byte("last"), begun.Add(100*time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("finish: %v", err)
	}
	if err := c.Write(message, time.Now().Add(time.Second)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after the last message: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	await(t, "done", g.Done())
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Finish has everything arrive that was written, and ends a Write under way.
func TestGuestFinish(t *testing.T) {
	g, c, dc := guest(t)
	last := make(chan string, 1)
	n := 0
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		if n++; len(m.Data) < 100 {
			last <- string(m.Data)
		}
	})
	ended := make(chan error, 1)
	go func() {
		for {
			if err := c.Write(make([]byte, 64<<10), time.Now().Add(20*time.Second)); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := c.Finish([]byte("last"), time.Now().Add(20*time.Second)); err != nil {
		t.Fatal(err)
	}
	g.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	select {
	case s := <-last:
		if s != "last" {
			t.Errorf("got %q", s)
		}
	case <-time.After(20 * time.Second):
		t.Error("the last message did not arrive")
	}
}

func TestGuestNotices(t *testing.T) {
	g, c, dc := guest(t)
	dc.Close()
	if _, _, err := c.Read(); err == nil {
		t.Error("a message on a channel that is closed")
	}
	g.Close()
	await(t, "done", g.Done())
}

// Other data channels are closed, and so is a second one of the name.
func TestGuestHasOneChannel(t *testing.T) {
	tr, pc := transport(t), browser(t)
	closed := make(chan string, 2)
	for _, label := range []string{"other", "session", "session"} {
		dc, err := pc.CreateDataChannel(label, nil)
		if err != nil {
			t.Fatal(err)
		}
		dc.OnClose(func() { closed <- label })
	}
	g, sdp, err := tr.Guest(t.Context(), offerOf(t, pc), "session")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, pc, sdp)
	got := make(map[string]int)
	for range 2 {
		select {
		case label := <-closed:
			got[label]++
		case <-time.After(20 * time.Second):
			t.Fatal("a channel is still open")
		}
	}
	if got["other"] != 1 || got["session"] != 1 {
		t.Errorf("closed: %v", got)
	}
	<-g.Channel()
}

func TestOffersThatAreRefused(t *testing.T) {
	tr := transport(t)
	for name, test := range map[string]struct {
		offer string
		want  error
	}{
		"nothing":  {"", rtc.ErrDescription},
		"no SDP":   {"hello", rtc.ErrDescription},
		"no media": {"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", rtc.ErrNotNegotiable},
		"half":     {"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", rtc.ErrNotNegotiable},
	} {
		if g, _, err := tr.Guest(t.Context(), test.offer, "session"); !errors.Is(err, test.want) || g != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Packets about ever more sources end the connection.
func TestGuestWithTooManySources(t *testing.T) {
	tr, pc := transport(t), browser(t)
	if _, err := pc.CreateDataChannel("session", nil); err != nil {
		t.Fatal(err)
	}
	g, sdp, err := tr.Guest(t.Context(), offerOf(t, pc), "session")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, pc, sdp)
	await(t, "connected", g.Connected())
	source := uint32(0)
	until(t, "the end", func() bool {
		for range 100 {
			source++
			if err := pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: source}}); err != nil {
				break // it is closed
			}
		}
		return g.Context().Err() != nil
	})
	if err := context.Cause(g.Context()); !strings.Contains(err.Error(), "sources") {
		t.Error(err)
	}
}

// Channels that are opened without end end the connection, closed ones too.
func TestGuestWithTooManyChannels(t *testing.T) {
	tr, pc := transport(t), browser(t)
	for range 18 {
		if _, err := pc.CreateDataChannel("other", nil); err != nil {
			t.Fatal(err)
		}
	}
	g, sdp, err := tr.Guest(t.Context(), offerOf(t, pc), "session")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, pc, sdp)
	await(t, "done", g.Done())
	if err := context.Cause(g.Context()); !strings.Contains(err.Error(), "data channels") {
		t.Error(err)
	}
}
