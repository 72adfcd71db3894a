package cells

import (
	"encoding/json"
	"strconv"
)

// Message is a frame's Data if it is for a channel: {"_ch":Channel,"_d":Data,"_t":To}.
type Message struct {
	Channel string
	Data    json.RawMessage // nil: not given
	To      []string        // for whom it is; they may be none
	All     bool            // it is for everybody: there is no "_t", or it is null
}

// Message is what the frame says on a channel. It is false if its Data is no such message,
// but what an application sent to the mesh itself. Data aliases that of the frame.
func (f *Frame) Message() (Message, bool) {
	if f.Kind != KindMsg {
		return Message{}, false
	}
	m := Message{All: true}
	err := object(f.Data, func(name, value []byte) {
		switch string(name) {
		case "_ch":
			m.Channel, _ = text(value)
		case "_d":
			m.Data = value
		case "_t":
			m.To, m.All = targets(value)
		}
	})
	if err != nil || m.Channel == "" {
		return Message{}, false
	}
	return m, true
}

// targets reads a "_t". What is neither null, a string nor an array is for nobody.
func targets(value []byte) (to []string, all bool) {
	switch value[0] {
	case 'n':
		return nil, true
	case '"':
		id, _ := text(value)
		return []string{id}, false
	case '[':
		return texts(value), false
	}
	return nil, false
}

// AppendMessage appends the Data of a frame for a channel.
func AppendMessage(b []byte, m Message) []byte {
	b = appendString(append(b, `{"_ch":`...), m.Channel)
	if m.Data != nil {
		b = append(append(b, `,"_d":`...), m.Data...)
	}
	if !m.All {
		b = append(b, `,"_t":[`...)
		for i, id := range m.To {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, id)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// Ping asks a peer for a Pong with the same ID. Nobody else answers it.
type Ping struct{ ID, Target string }

// Pong answers a Ping.
type Pong struct {
	ID string
	At int64 // when the ping came, in ms since 1970 by the answerer's clock
}

// Ping is what a frame asks. It is false if the frame is no ping.
func (f *Frame) Ping() (p Ping, ok bool) {
	if f.Kind != KindPing {
		return p, false
	}
	err := object(f.Data, func(name, value []byte) {
		switch string(name) {
		case "pingId":
			p.ID, _ = text(value)
		case "target":
			p.Target, _ = text(value)
		}
	})
	if err != nil || !validID(p.ID) || !validID(p.Target) {
		return Ping{}, false
	}
	return p, true
}

// Pong is what a frame answers. It is false if the frame is no pong.
func (f *Frame) Pong() (p Pong, ok bool) {
	if f.Kind != KindPong {
		return p, false
	}
	err := object(f.Data, func(name, value []byte) {
		switch string(name) {
		case "pingId":
			p.ID, _ = text(value)
		case "receivedAt":
			if n, ok := number(value); ok {
				p.At = int64(max(-1<<53, min(n, 1<<53)))
			}
		}
	})
	if err != nil || !validID(p.ID) {
		return Pong{}, false
	}
	return p, true
}

// AppendPing appends the Data of a ping.
func AppendPing(b []byte, p Ping) []byte {
	b = appendString(append(b, `{"pingId":`...), p.ID)
	return append(appendString(append(b, `,"target":`...), p.Target), '}')
}

// AppendPong appends the Data of a pong.
func AppendPong(b []byte, p Pong) []byte {
	b = appendString(append(b, `{"pingId":`...), p.ID)
	return append(strconv.AppendInt(append(b, `,"receivedAt":`...), p.At, 10), '}')
}
