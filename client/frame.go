package client

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/coder/websocket"
	"github.com/vmihailenco/msgpack/v5"
)

// The operations of docs/gateway.md, "Messages".
const (
	opHello    = "hello"
	opWelcome  = "welcome"
	opSend     = "send"
	opMessage  = "message"
	opAck      = "ack"
	opResult   = "result"
	opBegin    = "begin"
	opChunk    = "chunk"
	opEnd      = "end"
	opCancel   = "cancel"
	opProgress = "progress"
	opPing     = "ping"
	opPong     = "pong"
	opPeer     = "peer"
	opLeave    = "leave"
	opError    = "error"
	opPut      = "put"
	opPatch    = "patch"
	opRemove   = "remove"
	opLink     = "link"
	opGet      = "get"
	opNode     = "node"
	opWatch    = "watch"
	opUnwatch  = "unwatch"
	opMesh     = "mesh"
)

// frame is any message of the protocol. Both encodings go by its JSON tags.
type frame struct {
	Op       string    `json:"op"`
	Seq      uint64    `json:"seq,omitempty"`
	Channel  string    `json:"channel,omitempty"`
	From     string    `json:"from,omitempty"`
	To       *[]string `json:"to,omitempty"`
	Data     *data     `json:"data,omitempty"`
	Meta     *meta     `json:"meta,omitempty"`
	History  history   `json:"history,omitempty"`
	Peer     string    `json:"peer,omitempty"`
	Fraction float64   `json:"fraction,omitempty"`
	Event    string    `json:"event,omitempty"`
	Type     string    `json:"type,omitempty"`
	Error    string    `json:"error,omitempty"`
	Code     string    `json:"code,omitempty"`
	Text     string    `json:"message,omitempty"`
	ID       *uint64   `json:"id,omitempty"`

	// Progress asks for progress in send.
	Progress bool `json:"progress,omitempty"`

	Transfer uint64 `json:"transfer,omitempty"`
	Offset   *int64 `json:"offset,omitempty"`
	Size     *int64 `json:"size,omitempty"`
	Kind     string `json:"kind,omitempty"`
	Hash     string `json:"hash,omitempty"`
	Reason   string `json:"reason,omitempty"` // welcome, cancel

	Node      string     `json:"node,omitempty"`
	Target    string     `json:"target,omitempty"`
	Edges     []string   `json:"edges,omitempty"`
	Expect    any        `json:"expect,omitempty"`
	Timestamp *Timestamp `json:"timestamp,omitempty"`
	Removed   bool       `json:"removed,omitempty"`
	Prefix    string     `json:"prefix,omitempty"`
	After     *uint64    `json:"after,omitempty"`

	MeshState
	Roster []MeshPeer `json:"roster,omitempty"`
	More   bool       `json:"more,omitempty"`

	Password string  `json:"password,omitempty"`
	Token    string  `json:"token,omitempty"`
	Resume   string  `json:"resume,omitempty"`
	Ack      uint64  `json:"ack,omitempty"`
	Room     string  `json:"room,omitempty"`
	Mesh     string  `json:"mesh,omitempty"`
	Identity string  `json:"identity,omitempty"`
	Resumed  bool    `json:"resumed,omitempty"`
	Peers    []Peer  `json:"peers,omitempty"`
	Limits   *limits `json:"limits,omitempty"`
}

// limits are those of a welcome.
type limits struct {
	Message int64 `json:"message"`
	Pending int64 `json:"pending"`
	Resume  int64 `json:"resume"`
	Window  int64 `json:"window"`
}

func (f *frame) offset() int64 {
	if f.Offset == nil {
		return 0
	}
	return *f.Offset
}

func (f *frame) meta() any {
	if f.Meta == nil {
		return nil
	}
	return f.Meta.v
}

// codec is one of the two encodings.
type codec interface {
	subprotocol() string
	messageType() websocket.MessageType
	encode(*frame) ([]byte, error)
	decode([]byte) (*frame, error)
}

type jsonCodec struct{}

func (jsonCodec) subprotocol() string                { return "genosrtc.v1.json" }
func (jsonCodec) messageType() websocket.MessageType { return websocket.MessageText }
func (jsonCodec) encode(f *frame) ([]byte, error)    { return json.Marshal(f) }
func (jsonCodec) decode(b []byte) (*frame, error) {
	f := new(frame)
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("client: message: %w", err)
	}
	return f, nil
}

type msgpackCodec struct{}

func (msgpackCodec) subprotocol() string                { return "genosrtc.v1.msgpack" }
func (msgpackCodec) messageType() websocket.MessageType { return websocket.MessageBinary }
func (msgpackCodec) encode(f *frame) ([]byte, error) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	e.SetCustomStructTag("json")
	e.SetSortMapKeys(true) // a transfer that goes on must begin with the same bytes
	if err := e.Encode(f); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (msgpackCodec) decode(b []byte) (*frame, error) {
	d := msgpack.NewDecoder(bytes.NewReader(b))
	d.SetCustomStructTag("json")
	f := new(frame)
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("client: message: %w", err)
	}
	return f, nil
}
