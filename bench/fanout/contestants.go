package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gobwas/ws"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/session"
)

// names are those that can be measured.
var names = []string{"ours", "ours acked", "nats", "hub"}

// contestant is a server, and how to talk to it. What clients say is whole
// WebSocket frames.
type contestant struct {
	command []string // the port follows
	path    string   // of receivers
	sender  string   // path of the sender

	subprotocol string
	hello       []byte // what a receiver says first
	senderHello []byte
	ready       string // what the answer to both contains; empty: there is none
	// publish makes a message, which is the nth, of a payload.
	publish func(n uint64, payload []byte) []byte
	// acknowledge tells that the message of that offset, and all before, have
	// arrived; nil: nobody wants to know.
	acknowledge func(n uint64) []byte
}

// ackEvery is how many messages a receiver acknowledges at once
// (docs/gateway.md, "send, ack, result").
const ackEvery = 64

const room = "bench"

// contestants are all of them, by name. clean removes what was built.
func contestants(ctx context.Context, nats bool) (all map[string]contestant, clean func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("finding this program: %w", err)
	}
	const sessions = "/genosrtc/rooms/" + room + "/ws"
	ours := contestant{
		command: []string{self, "serve", "ours"},
		path:    sessions, sender: sessions,
		subprotocol: session.MessagePack.Subprotocol(),
		hello:       said(&session.Message{Op: session.OpHello}),
		ready:       string(session.OpWelcome),
		publish: func(n uint64, payload []byte) []byte {
			return said(&session.Message{Op: session.OpSend, Seq: n, Channel: "bench", Content: engine.Content{Kind: engine.Text, Data: payload}})
		},
	}
	ours.senderHello = ours.hello
	acked := ours
	// Nothing else is in the room's journal: its offsets rise by one.
	acked.acknowledge = func(n uint64) []byte { return said(&session.Message{Op: session.OpAck, Seq: n}) }
	all = map[string]contestant{
		"ours": ours, "ours acked": acked,
		"hub": {
			command: []string{self, "serve", "hub"},
			path:    "/receive", sender: "/send",
			publish: func(_ uint64, payload []byte) []byte { return frame(ws.OpBinary, payload) },
		},
	}
	if !nats {
		return all, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "bench-fanout-")
	if err != nil {
		return nil, nil, fmt.Errorf("making a folder for nats-server: %w", err)
	}
	clean = func() { os.RemoveAll(dir) }
	program := filepath.Join(dir, "nats")
	build := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join("bench", "fanout", "nats"), "-o", program, ".")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		clean()
		return nil, nil, fmt.Errorf("building nats-server, in the folder of the repository: %w", err)
	}
	const connect = `CONNECT {"verbose":false,"pedantic":false,"protocol":1}` + "\r\n"
	all["nats"] = contestant{
		command: []string{program},
		path:    "/", sender: "/",
		hello:       frame(ws.OpBinary, []byte(connect+"SUB t 1\r\nPING\r\n")),
		senderHello: frame(ws.OpBinary, []byte(connect+"PING\r\n")),
		ready:       "PONG",
		publish: func(_ uint64, payload []byte) []byte {
			return frame(ws.OpBinary, fmt.Appendf(nil, "PUB t %d\r\n%s\r\n", len(payload), payload))
		},
	}
	return all, clean, nil
}

// said is a message of a client of ours.
func said(m *session.Message) []byte { return frame(ws.OpBinary, session.MessagePack.Encode(m)) }

// frame makes a frame of a client. Its masking key is zero.
func frame(op ws.OpCode, payload []byte) []byte {
	// The only error is a length of more than 63 bits.
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, true, payload), [4]byte{}))
}

// A mark is what a message is found by in the stream: these bytes and its
// number, eight decimal digits.
const (
	markBegin = "@@"
	markSize  = len(markBegin) + 8
)

// payload is the data of the nth message.
func payload(n uint64, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size), "%s%08d", markBegin, n)
	for len(b) < size {
		b = append(b, 'x')
	}
	return b
}

// markNumber reads the number of a mark.
func markNumber(mark []byte) (n uint64) {
	for _, c := range mark[len(markBegin):markSize] {
		n = n*10 + uint64(c-'0')
	}
	return n
}
