package turn

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// On sizes that overflow 16 bits pion would turn for ever.
func TestBytesThatAreNoFrameEndTheConnection(t *testing.T) {
	s, at := start(t, Config{})
	for name, sent := range map[string]string{
		"STUN of 2^16 bytes":        "0001ffec2112a442000000000000000000000000",
		"ChannelData of 2^16 bytes": "4000fffc0000000000",
		"STUN over the limit":       "000106402112a442000000000000000000000000",
		"STUN without the cookie":   "0001000000000000000000000000000000000000",
		"ChannelData with it":       "400000102112a44200000000000000000000000000000000",
		"HTTP":                      hex.EncodeToString([]byte("GET / HTTP/1.1\r\n\r\n")),
	} {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		b, _ := hex.DecodeString(sent)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	eventually(t, "they are gone", func() bool { return s.Stats().Connections == 0 })
	if n := s.Stats().Refused["frame"]; n != 6 {
		t.Errorf("counted %d", n)
	}
}

func TestFramesInSingleBytes(t *testing.T) {
	_, at := start(t, Config{})
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	for range 2 {
		for i := range request.Raw {
			if _, err := conn.Write(request.Raw[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 1500)
		n, err := conn.Read(b)
		if err != nil || n < 20 || !bytes.Equal(b[8:20], request.TransactionID[:]) {
			t.Fatalf("got %x, %v", b[:n], err)
		}
	}
}

// Who has an allocation may be silent, but not in the middle of a frame.
func TestHalfFramesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		c := &client{Conn: here, in: bufio.NewReaderSize(here, 2048), server: new(Server)}
		c.allocated.Store(true)
		began := time.Now()
		go func() {
			time.Sleep(time.Hour)
			there.Write([]byte{0x40, 0, 0, 9, 1, 2, 3, 4})
		}()
		_, err := c.Read(make([]byte, 1600))
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != time.Hour+frameTime {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// stream is a connection that has all that there is to read.
type stream struct {
	net.Conn
	io.Reader
}

func (s stream) Read(b []byte) (int, error)    { return s.Reader.Read(b) }
func (stream) SetReadDeadline(time.Time) error { return nil }
func (stream) RemoteAddr() net.Addr            { return &net.TCPAddr{} }

// Whatever comes, pion gets frames of it that have a size, and an end.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{
		"0001ffec2112a442000000000000000000000000", "4000fffc0000000000", "40000000", "4000000000010000",
		"400000014100000040000000000100002112a442000000000000000000000000", "400000102112a44200000000000000000000000000000000",
		"000100002112a442000000000000000000000000" + "40010005010203040500000040000003aabbcc00",
	} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		all := stream{Reader: bytes.NewReader(sent)}
		conn := turn.NewSTUNConn(&client{Conn: all, in: bufio.NewReaderSize(all, 2048), server: new(Server), until: time.Now()})
		buffer, got := make([]byte, 1600), 0
		for {
			n, _, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if n < 4 || n > len(sent)-got || !bytes.Equal(buffer[:n], sent[got:got+n]) {
				t.Fatalf("%x is no frame at %d of %x", buffer[:n], got, sent)
			}
			got += n
		}
	})
}
