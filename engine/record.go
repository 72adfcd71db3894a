package engine

import (
	"encoding/binary"
	"errors"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
)

// record is a message as the room's journal holds it: what is needed to deliver
// it again, and to know what was taken of its sender.
//
// It is encoded as the byte 1, a byte of flags, and then, lengths and numbers as
// varints: the sender; of a seat's message its ref; the recipients, if they are
// listed; the channel; meta, if there is any; and the data, which is the rest.
type record struct {
	from    string
	seat    bool   // from is a seat, and ref its number of the message
	ref     uint64 // 0: the seat does not count
	to      audience
	listed  []string // recipients, with toListed: seat ids
	channel string
	content Content
	links   bool // it was given to links too
}

// audience is whom of a room's seats a message is for.
type audience uint8

const (
	toAll    audience = iota // but its sender
	toListed                 // by seat id
	toServer                 // those who speak through the server's peer
)

// The first byte says what an entry of the journal is.
const (
	recordMessage    = 1
	recordCheckpoint = 2
)

// Flags: two bits each for the audience and the kind of content.
const (
	flagSeat = 1 << iota
	flagMeta
	flagsTo      = 2
	flagsKind    = 4
	flagLinks    = 0x40
	flagsUnknown = 0x80
)

var errRecord = errors.New("engine: not a record of a message")

func (rec *record) append(b []byte) []byte {
	flags := byte(rec.to)<<flagsTo | byte(rec.content.Kind)<<flagsKind
	if rec.seat {
		flags |= flagSeat
	}
	if rec.content.Meta != nil {
		flags |= flagMeta
	}
	if rec.links {
		flags |= flagLinks
	}
	b = appendBytes(append(b, recordMessage, flags), rec.from)
	if rec.seat {
		b = binary.AppendUvarint(b, rec.ref)
	}
	if rec.to == toListed {
		b = binary.AppendUvarint(b, uint64(len(rec.listed)))
		for _, id := range rec.listed {
			b = appendBytes(b, id)
		}
	}
	b = appendBytes(b, rec.channel)
	if rec.content.Meta != nil {
		b = appendBytes(b, rec.content.Meta)
	}
	return append(b, rec.content.Data...)
}

func appendBytes[S []byte | string](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// isMessage tells whether an entry of the journal is a record.
func isMessage(b []byte) bool { return len(b) == 0 || b[0] != recordCheckpoint }

// decodeRecord reads a record, whose content lies in b. It fails with errRecord
// where b is none.
func decodeRecord(b []byte) (rec record, err error) {
	r := recordReader{b: b}
	if r.byte() != recordMessage {
		return rec, errRecord
	}
	flags := r.byte()
	rec.seat, rec.links = flags&flagSeat != 0, flags&flagLinks != 0
	rec.to = audience(flags >> flagsTo & 3)
	rec.content.Kind = frame.Kind(flags >> flagsKind & 3)
	rec.from = string(r.bytes())
	if rec.seat {
		rec.ref = r.uint()
	}
	if rec.to == toListed {
		n := r.uint()
		if n > uint64(len(r.b)) { // each takes a byte at least
			return rec, errRecord
		}
		rec.listed = make([]string, n)
		for i := range rec.listed {
			rec.listed[i] = string(r.bytes())
		}
	}
	rec.channel = string(r.bytes())
	if flags&flagMeta != 0 {
		rec.content.Meta = r.bytes()
	}
	rec.content.Data = r.b
	if r.failed || flags&flagsUnknown != 0 || rec.to > toServer || rec.content.Kind > Binary {
		return rec, errRecord
	}
	return rec, nil
}

// recordReader reads from the front of b, and remembers if there was too little.
type recordReader struct {
	b      []byte
	failed bool
}

func (r *recordReader) byte() (v byte) {
	if len(r.b) == 0 {
		r.failed = true
		return 0
	}
	v, r.b = r.b[0], r.b[1:]
	return v
}

func (r *recordReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.failed, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recordReader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.failed, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}
