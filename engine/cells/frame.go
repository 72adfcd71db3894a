package cells

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Kinds of frames. There may be others, which peers pass on and nobody delivers.
const (
	KindMsg  = "msg"
	KindPing = "ping"
	KindPong = "pong"
)

// MaxID is the length of the longest id in a frame, in bytes.
const MaxID = 256

// ErrFrame is wrapped by the errors of Decode.
var ErrFrame = errors.New("no mesh frame")

// Frame is what is said on the channel of a cell.
type Frame struct {
	Kind       string // "msg", "ping", "pong"
	ID         string
	TTL        int             // how many times it may still be passed on, 150 at most; -1: not given
	Data       json.RawMessage // nil: not given
	Origin     string          // who says it; nobody proves it
	OriginCell int             // -1: not given, or not "cell-K"
}

// Decode reads a frame. It fails, with ErrFrame, on what is none: no JSON object, without
// a string t, or without an id and an origin of 1 to MaxID bytes. What else is not as it
// should be counts as not given. Data aliases what it was given.
func Decode(data []byte) (Frame, error) {
	f := Frame{TTL: -1, OriginCell: -1}
	kind := false
	err := object(data, func(name, value []byte) {
		switch string(name) {
		case "t":
			f.Kind, kind = text(value)
		case "id":
			f.ID, _ = text(value)
		case "ttl":
			f.TTL = hops(value)
		case "data":
			f.Data = value
		case "origin":
			f.Origin, _ = text(value)
		case "originCell":
			name, _ := text(value)
			f.OriginCell = -1
			if cell, ok := ParseName(name); ok {
				f.OriginCell = cell
			}
		}
	})
	switch {
	case err != nil:
		return Frame{}, fmt.Errorf("%w: %w", ErrFrame, err)
	case !kind:
		return Frame{}, fmt.Errorf("%w: t is no string", ErrFrame)
	case !validID(f.ID):
		return Frame{}, fmt.Errorf("%w: id is no string of 1 to %d bytes", ErrFrame, MaxID)
	case !validID(f.Origin):
		return Frame{}, fmt.Errorf("%w: origin is no string of 1 to %d bytes", ErrFrame, MaxID)
	}
	return f, nil
}

func validID(id string) bool { return id != "" && len(id) <= MaxID }

// hops reads a TTL.
func hops(value []byte) int {
	n, ok := number(value)
	if !ok || n < 0 {
		return -1
	}
	return int(min(n, maxTTL))
}

// Append appends the frame as JSON, in the order of fields that browsers have.
func (f *Frame) Append(b []byte) []byte {
	b = appendString(append(b, `{"t":`...), f.Kind)
	b = appendString(append(b, `,"id":`...), f.ID)
	if f.TTL >= 0 {
		b = strconv.AppendInt(append(b, `,"ttl":`...), int64(f.TTL), 10)
	}
	if f.Data != nil {
		b = append(append(b, `,"data":`...), f.Data...)
	}
	b = appendString(append(b, `,"origin":`...), f.Origin)
	if f.OriginCell >= 0 {
		b = strconv.AppendInt(append(b, `,"originCell":"`+namePrefix...), int64(f.OriginCell), 10)
		b = append(b, '"')
	}
	return append(b, '}')
}

// NewID is the id of a frame as browsers make it: origin, time in milliseconds in base 36,
// and a number that the origin never gives twice.
func NewID(origin string, now time.Time, seq uint64) string {
	b := make([]byte, 0, len(origin)+24)
	b = append(append(b, origin...), ':')
	b = append(strconv.AppendInt(b, now.UnixMilli(), 36), ':')
	return string(strconv.AppendUint(b, seq, 10))
}
