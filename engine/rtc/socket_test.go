package rtc

import (
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

func message(t testing.TB, setters ...stun.Setter) []byte {
	t.Helper()
	m, err := stun.Build(append([]stun.Setter{stun.TransactionID}, setters...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

// What is for a STUN or TURN server is told from what is for a link by the packet alone.
func TestPacketsForServersAndLinks(t *testing.T) {
	check := message(t, stun.BindingRequest, stun.NewSoftware("x"), stun.NewUsername("a:b"), stun.Fingerprint)
	for name, test := range map[string]struct {
		packet []byte
		server bool
	}{
		"STUN request":       {message(t, stun.BindingRequest), true},
		"STUN with software": {message(t, stun.BindingRequest, stun.NewSoftware("odd"), stun.Fingerprint), true},
		"ICE check":          {check, false},
		"ICE answer":         {message(t, stun.BindingSuccess, stun.NewUsername("x")), false},
		"ICE refusal":        {message(t, stun.NewType(stun.MethodBinding, stun.ClassErrorResponse)), false},
		"keepalive":          {message(t, stun.NewType(stun.MethodBinding, stun.ClassIndication)), false},
		"allocate":           {message(t, stun.NewType(stun.MethodAllocate, stun.ClassRequest), stun.NewUsername("x")), true},
		"refresh":            {message(t, stun.NewType(stun.MethodRefresh, stun.ClassRequest)), true},
		"send":               {message(t, stun.NewType(stun.MethodSend, stun.ClassIndication)), true},
		"channel data":       {[]byte{0x40, 0, 0, 4, 1, 2, 3, 4}, true},
		"last channel":       {[]byte{0x4f, 0xff, 0, 0}, true},
		"DTLS":               {[]byte{22, 0xfe, 0xfd, 0, 0, 0}, false},
		"RTP":                {[]byte{0x80, 96, 0, 1}, false},
		"QUIC":               {[]byte{0x50, 0, 0, 0}, false},
		"nothing":            {nil, false},
		"short":              {check[:19], false},
		"cut":                {check[:24], true}, // its attributes are not all there: the server refuses it
		"without cookie":     {append([]byte{0, 1, 0, 0, 0, 0, 0, 0}, make([]byte, 12)...), false},
	} {
		if got := forServer(test.packet); got != test.server {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzForServer(f *testing.F) {
	f.Add(message(f, stun.BindingRequest, stun.NewUsername("a:b")))
	f.Add([]byte{0x40, 0, 0, 0})
	f.Add([]byte("\x00\x01\x00\x00!\x12\xa4B000000000000\x00\x0600")) // more than its length says
	f.Fuzz(func(t *testing.T, b []byte) {
		got, m := forServer(b), &stun.Message{Raw: b}
		// pion takes what begins like RTP for STUN, and drops what follows on the integrity.
		if m.Decode() != nil || m.Type != stun.BindingRequest || b[0] > lastSTUN ||
			m.Contains(stun.AttrMessageIntegrity) || m.Contains(stun.AttrMessageIntegritySHA256) {
			return
		}
		if _, err := m.Get(stun.AttrUsername); got != (err != nil) {
			t.Errorf("a request with username %v was taken for the other's", err == nil)
		}
	})
}

func TestServersPartOfASocket(t *testing.T) {
	transport, err := New(Config{UDP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	conns := transport.ServerConns()
	if len(conns) != 1 {
		t.Fatalf("%d parts of one socket", len(conns))
	}
	client, err := net.Dial("udp", conns[0].LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := func(c *ServerConn) {
		t.Helper()
		request := message(t, stun.BindingRequest)
		if _, err := client.Write(request); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 1500)
		n, from, err := c.ReadFrom(buffer)
		if err != nil || string(buffer[:n]) != string(request) || from.String() != client.LocalAddr().String() {
			t.Fatalf("got %d bytes from %v, %v", n, from, err)
		}
		if _, err := c.WriteTo([]byte("answer"), from); err != nil {
			t.Fatal(err)
		}
		client.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := client.Read(buffer); err != nil || string(buffer[:n]) != "answer" {
			t.Fatalf("got %q, %v", buffer[:n], err)
		}
	}
	ask(conns[0])
	// A server that does not read loses packets, and only its own.
	for range serverPackets + 100 {
		conns[0].take([]byte{0x40, 0, 0, 0}, client.LocalAddr())
	}
	if n := conns[0].Dropped(); n != 100 {
		t.Errorf("%d were lost", n)
	}
	next := transport.ServerConns()
	if _, _, err := readAll(conns[0]); err != net.ErrClosed {
		t.Errorf("the former server reads on: %v", err)
	}
	ask(next[0])
	if err := transport.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := next[0].ReadFrom(nil); err != net.ErrClosed {
		t.Errorf("after the end of the transport: %v", err)
	}
}

func readAll(c *ServerConn) (n int, from net.Addr, err error) {
	for err == nil {
		n, from, err = c.ReadFrom(make([]byte, 100))
	}
	return n, from, err
}
