package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// bareSession and bareLink are the driver's ends of a bare bridge: a message is
// its data.
type (
	bareSession struct{ ws *websocket.Conn }
	bareLink    struct{ dc *channel }
)

func (b *bridge) connectBare(ctx context.Context) error {
	dc, err := newChannel(true)
	if err != nil {
		return err
	}
	b.undo = append(b.undo, dc.close)
	offer, err := dc.offer()
	if err != nil {
		return err
	}
	response, err := http.Post("http://"+b.address+"/offer", "application/sdp", strings.NewReader(offer))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("offer: %s: %s", response.Status, answer))
	}
	if err := dc.accept(string(answer)); err != nil {
		return err
	}
	ws, _, err := websocket.Dial(ctx, "ws://"+b.address+"/ws", nil)
	if err != nil {
		return err
	}
	ws.SetReadLimit(-1)
	b.undo = append(b.undo, func() { _ = ws.CloseNow() })
	b.session, b.link = listen(&bareSession{ws}), listen(&bareLink{dc})
	return nil
}

func (s *bareSession) prepare(size int) func(uint64) error {
	data := make([]byte, size)
	return func(stamp uint64) error {
		binary.BigEndian.PutUint64(data, stamp)
		return s.ws.Write(context.Background(), websocket.MessageBinary, data)
	}
}

func (s *bareSession) receive(heard func(uint64)) error {
	buf := make([]byte, bufferSize)
	for {
		b, err := readMessage(s.ws, buf)
		if err != nil {
			return err
		}
		heard(binary.BigEndian.Uint64(b))
	}
}

func (l *bareLink) prepare(size int) func(uint64) error {
	data := make([]byte, size)
	return func(stamp uint64) error {
		binary.BigEndian.PutUint64(data, stamp)
		return l.dc.send(data)
	}
}

func (l *bareLink) receive(heard func(uint64)) error {
	buf := make([]byte, bufferSize)
	for {
		n, err := l.dc.Read(buf)
		if err != nil {
			return err
		}
		heard(binary.BigEndian.Uint64(buf[:n]))
	}
}
