package session

import (
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Op names what a message is (docs/gateway.md, "Messages").
type Op string

// The operations of version 1.
const (
	OpHello    Op = "hello"
	OpWelcome  Op = "welcome"
	OpSend     Op = "send"
	OpMessage  Op = "message"
	OpAck      Op = "ack"
	OpResult   Op = "result"
	OpProgress Op = "progress"
	OpPing     Op = "ping"
	OpPong     Op = "pong"
	OpPeer     Op = "peer"
	OpLeave    Op = "leave"
	OpError    Op = "error"
	OpBegin    Op = "begin"
	OpChunk    Op = "chunk"
	OpEnd      Op = "end"
	OpCancel   Op = "cancel"

	// Of the room's graph.
	OpPut     Op = "put"
	OpPatch   Op = "patch"
	OpRemove  Op = "remove"
	OpLink    Op = "link"
	OpGet     Op = "get"
	OpNode    Op = "node"
	OpWatch   Op = "watch"
	OpUnwatch Op = "unwatch"

	// Of the room's cells.
	OpMesh Op = "mesh"
)

// maxInteger is the greatest seq and id: the greatest integer that every JSON
// parser keeps exactly (RFC 8259, section 6).
const maxInteger = 1<<53 - 1

// Message is one message of the protocol, of either direction. Which fields
// mean something depends on Op; the others are zero.
type Message struct {
	Op       Op
	Seq      uint64
	Channel  string
	From     string
	To       []string       // send: nil means everybody
	Content  engine.Content // data and meta; Data is nil where data is missing
	Progress bool
	ID       uint64 // ping, pong, and requests of the graph
	Peer     string
	Fraction float64
	Event    string // peer
	Type     string // peer
	Error    string // result, pong: why it failed
	Code     Code   // error
	Text     string // result, error: the field "message", for people

	// Of transfers. Size and Offset are nil where they are missing.
	Transfer uint64
	Size     *uint64
	Kind     string
	Offset   *uint64
	Hash     string

	// Of the room's graph. Expect and Timestamp are JSON, nil where they are missing.
	Node      string
	Target    string   // link
	Edges     []string // node
	Expect    []byte   // "absent", "exists" or a timestamp
	Timestamp []byte   // node
	Removed   bool     // node
	Prefix    string   // watch
	After     *uint64  // watch: nil where it is missing

	// Of the room's cells. With Place, that is all that is said.
	Place  *engine.MeshState
	Roster []engine.MeshPeer // nil where it is missing
	More   bool

	Token    string // hello
	Password string // hello
	Resume   string // hello, welcome: the secret
	Ack      uint64 // hello, welcome
	History  uint64 // hello: how many recent messages are wanted
	Recent   bool   // message: the field "history", it is one of them

	User     string // welcome
	Mesh     string // welcome
	Identity string // welcome
	Room     string // welcome
	Resumed  bool   // welcome
	Reason   string // welcome
	Peers    []engine.Peer
	Limits   Limits      // welcome
	ICE      []ICEServer // welcome
}

// Limits is what a client is told in welcome, and held to.
type Limits struct {
	Message int           // bytes of data plus meta in one send
	Pending int           // bytes that may wait for the client
	Resume  time.Duration // that the session lives without a connection
	Window  int           // bytes of a transfer beyond what was acknowledged; the room's
}

// field is one field that a message can have.
type field uint8

const (
	fOp field = iota
	fSeq
	fChannel
	fFrom
	fTo
	fData
	fMeta
	fProgress
	fID
	fPeer
	fFraction
	fEvent
	fType
	fError
	fCode
	fMessage
	fPassword
	fResume
	fHistory
	fMesh
	fIdentity
	fRoom
	fResumed
	fReason
	fAck
	fPeers
	fLimits
	fICE
	fTransfer
	fSize
	fKind
	fOffset
	fHash
	fToken
	fUser
	fNode
	fTarget
	fEdges
	fExpect
	fTimestamp
	fRemoved
	fPrefix
	fAfter
	fRoster
	fMore
	fieldCount
)

var fieldNames = [fieldCount]string{
	fOp: "op", fSeq: "seq", fChannel: "channel", fFrom: "from", fTo: "to",
	fData: "data", fMeta: "meta", fProgress: "progress", fID: "id", fPeer: "peer",
	fFraction: "fraction", fEvent: "event", fType: "type", fError: "error",
	fCode: "code", fMessage: "message", fPassword: "password", fResume: "resume", fHistory: "history", fMesh: "mesh",
	fIdentity: "identity", fRoom: "room", fResumed: "resumed", fReason: "reason",
	fAck: "ack", fPeers: "peers", fLimits: "limits", fICE: "ice",
	fTransfer: "transfer", fSize: "size", fKind: "kind", fOffset: "offset", fHash: "hash",
	fToken: "token", fUser: "user",
	fNode: "node", fTarget: "target", fEdges: "edges", fExpect: "expect", fTimestamp: "timestamp",
	fRemoved: "removed", fPrefix: "prefix", fAfter: "after",
	fRoster: "roster", fMore: "more",
}

var fieldsByName = func() map[string]field {
	m := make(map[string]field, fieldCount)
	for f, name := range fieldNames {
		m[name] = field(f)
	}
	return m
}()

// use is a field as an operation uses it.
type use struct {
	field    field
	optional bool
}

// uses lists the fields of each operation, in the order in which they are
// written and judged.
var uses = map[Op][]use{
	OpHello: {{fToken, true}, {fPassword, true}, {fResume, true}, {fAck, true}, {fHistory, true}},
	OpWelcome: {{fPeer, false}, {fUser, true}, {fMesh, true}, {fIdentity, false}, {fRoom, false}, {fResume, false},
		{fResumed, false}, {fReason, true}, {fAck, false}, {fPeers, false}, {fLimits, false}, {fICE, true}},
	OpSend: {{fSeq, false}, {fChannel, false}, {fData, false}, {fTo, true}, {fMeta, true},
		{fProgress, true}},
	OpMessage: {{fSeq, false}, {fChannel, false}, {fFrom, false}, {fData, false}, {fMeta, true},
		{fHistory, true}},
	OpAck:      {{fSeq, true}, {fTransfer, true}, {fFrom, true}, {fOffset, true}},
	OpResult:   {{fSeq, true}, {fTransfer, true}, {fPeer, true}, {fError, false}, {fMessage, false}},
	OpProgress: {{fSeq, true}, {fTransfer, true}, {fChannel, true}, {fPeer, false}, {fFraction, false}, {fMeta, true}},
	OpPing:     {{fID, false}, {fPeer, true}},
	OpPong:     {{fID, false}, {fPeer, true}, {fError, true}},
	OpPeer:     {{fEvent, false}, {fPeer, false}, {fType, true}},
	OpLeave:    {},
	OpError: {{fCode, false}, {fMessage, false}, {fSeq, true}, {fID, true},
		{fTransfer, true}, {fFrom, true}},
	OpBegin: {{fTransfer, false}, {fFrom, true}, {fChannel, true}, {fSize, true}, {fKind, true},
		{fOffset, true}, {fTo, true}, {fMeta, true}},
	OpChunk:  {{fTransfer, false}, {fFrom, true}, {fOffset, false}, {fData, false}},
	OpEnd:    {{fTransfer, false}, {fFrom, true}, {fHash, true}},
	OpCancel: {{fTransfer, false}, {fFrom, true}, {fReason, true}},

	OpPut:    {{fID, false}, {fNode, true}, {fData, false}, {fExpect, true}},
	OpPatch:  {{fID, false}, {fNode, false}, {fData, false}, {fExpect, true}},
	OpRemove: {{fID, false}, {fNode, false}, {fExpect, true}},
	OpLink:   {{fID, false}, {fNode, false}, {fTarget, false}, {fExpect, true}},
	OpGet:    {{fID, false}, {fNode, false}},
	OpNode: {{fID, false}, {fSeq, true}, {fNode, false}, {fData, true}, {fEdges, true}, {fTimestamp, true},
		{fRemoved, true}},
	OpWatch:   {{fID, false}, {fPrefix, true}, {fAfter, true}, {fSeq, true}},
	OpUnwatch: {{fID, false}},
	OpMesh:    {{fID, false}, {fRoster, true}, {fMore, true}},
}

// at returns a pointer to the field of m, whose type tells the codecs what
// values the field takes.
func (m *Message) at(f field) any {
	switch f {
	case fOp:
		return (*string)(&m.Op)
	case fSeq:
		return &m.Seq
	case fChannel:
		return &m.Channel
	case fFrom:
		return &m.From
	case fTo:
		return &m.To
	case fData:
		return &m.Content
	case fMeta:
		return &m.Content.Meta
	case fProgress:
		return &m.Progress
	case fID:
		return &m.ID
	case fPeer:
		return &m.Peer
	case fFraction:
		return &m.Fraction
	case fEvent:
		return &m.Event
	case fType:
		return &m.Type
	case fError:
		return &m.Error
	case fCode:
		return (*string)(&m.Code)
	case fMessage:
		return &m.Text
	case fToken:
		return &m.Token
	case fUser:
		return &m.User
	case fPassword:
		return &m.Password
	case fResume:
		return &m.Resume
	case fHistory:
		if m.Op == OpMessage {
			return &m.Recent
		}
		return &m.History
	case fMesh:
		return &m.Mesh
	case fIdentity:
		return &m.Identity
	case fRoom:
		return &m.Room
	case fResumed:
		return &m.Resumed
	case fReason:
		return &m.Reason
	case fAck:
		return &m.Ack
	case fPeers:
		return &m.Peers
	case fLimits:
		return &m.Limits
	case fICE:
		return &m.ICE
	case fTransfer:
		return &m.Transfer
	case fSize:
		return &m.Size
	case fKind:
		return &m.Kind
	case fOffset:
		return &m.Offset
	case fHash:
		return &m.Hash
	case fNode:
		return &m.Node
	case fTarget:
		return &m.Target
	case fEdges:
		return &m.Edges
	case fExpect:
		return &m.Expect
	case fTimestamp:
		return &m.Timestamp
	case fRemoved:
		return &m.Removed
	case fPrefix:
		return &m.Prefix
	case fAfter:
		return &m.After
	case fRoster:
		return &m.Roster
	case fMore:
		return &m.More
	}
	panic("session: message has no such field")
}

// has tells whether an optional field of m is worth writing.
func (m *Message) has(f field) bool {
	switch v := m.at(f).(type) {
	case *string:
		return *v != ""
	case *uint64:
		return *v != 0
	case **uint64:
		return *v != nil
	case *bool:
		return *v
	case *[]string:
		return *v != nil
	case *[]byte:
		return *v != nil
	case *[]engine.MeshPeer:
		return *v != nil
	case *[]ICEServer:
		return *v != nil
	case *engine.Content:
		return v.Data != nil
	}
	return false
}
