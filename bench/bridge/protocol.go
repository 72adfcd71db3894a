package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// ourSession is a client of the session protocol (docs/gateway.md).
type ourSession struct {
	ws  *websocket.Conn
	seq uint64
}

// prepare encodes a send once. Of its copies the seq and the stamp differ.
func (s *ourSession) prepare(size int) func(uint64) error {
	raw := session.MessagePack.Encode(&session.Message{
		Op: session.OpSend, Channel: channelName,
		Seq:     1 << 52, // takes eight bytes, as all that we put in its place
		Content: engine.Content{Kind: engine.Binary, Data: make([]byte, size)},
	})
	number := raw[bytes.Index(raw, []byte("\xa3seq\xcf"))+len("\xa3seq\xcf"):]
	stamped := raw[len(raw)-size:] // data comes last
	return func(stamp uint64) error {
		s.seq++
		binary.BigEndian.PutUint64(number, s.seq)
		binary.BigEndian.PutUint64(stamped, stamp)
		return s.ws.Write(context.Background(), websocket.MessageBinary, raw)
	}
}

// How messages begin that are not decoded: it would take time from the bridge.
var (
	beginsMessage = []byte("\x85\xa2op\xa7message")
	beginsAck     = []byte("\x82\xa2op\xa3ack")
	dataField     = []byte("\xa4data")
)

func (s *ourSession) receive(heard func(uint64)) error {
	buf := make([]byte, bufferSize)
	for {
		b, err := readMessage(s.ws, buf)
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(b, beginsMessage):
			data, err := binData(b)
			if err != nil {
				return err
			}
			heard(binary.BigEndian.Uint64(data))
		case bytes.HasPrefix(b, beginsAck):
		default:
			m, err := session.MessagePack.Decode(b)
			if err != nil || m.Op != session.OpPeer && m.Op != session.OpProgress {
				return errors.Join(err, fmt.Errorf("the server says %+v", m))
			}
		}
	}
}

// binData is the data of a message, which must be bytes.
func binData(b []byte) ([]byte, error) {
	i := bytes.Index(b[:min(len(b), 256)], dataField)
	if i < 0 {
		return nil, fmt.Errorf("no data in %.100q", b)
	}
	b = b[i+len(dataField):]
	switch b[0] {
	case 0xc4:
		return b[2:], nil
	case 0xc5:
		return b[3:], nil
	case 0xc6:
		return b[5:], nil
	}
	return nil, fmt.Errorf("data is not bytes: %.100q", b)
}

// ourLink is a peer of the room, as a browser is one (docs/protocol.md).
type ourLink struct{ dc *channel }

// prepare makes the frames of a message once. Of their copies the nonce and the
// stamp differ.
func (l *ourLink) prepare(size int) func(uint64) error {
	frames, err := frame.Encode(channelName, 0, engine.Content{Kind: engine.Binary, Data: make([]byte, size)})
	return func(stamp uint64) error {
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(frames[0][frame.HeaderSize:], stamp)
		for _, f := range frames {
			f[frame.NameSize]++
			if err := l.dc.send(f); err != nil {
				return err
			}
		}
		return nil
	}
}

// receive hears a message when its last frame is there. It answers pings, which
// keep the link alive.
func (l *ourLink) receive(heard func(uint64)) error {
	const last = 1 // tag bit
	buf := make([]byte, bufferSize)
	first, stamp := true, uint64(0)
	for {
		n, err := l.dc.Read(buf)
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(buf[:n], []byte(channelName)):
			if first {
				stamp = binary.BigEndian.Uint64(buf[frame.HeaderSize:n])
			}
			if first = buf[frame.NameSize+1]&last != 0; first {
				heard(stamp)
			}
		case bytes.HasPrefix(buf[:n], []byte("@_ping")):
			pong, err := frame.Encode("@_pong", buf[frame.NameSize], engine.Content{})
			if err == nil {
				err = l.dc.send(pong[0])
			}
			if err != nil {
				return err
			}
		}
	}
}
