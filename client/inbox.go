package client

import (
	"context"
	"time"
)

// What may wait in the inbox: beyond it the socket is not read. The server
// holds back earlier, as it counts what is not acknowledged.
const (
	inboxMessages = 4096
	inboxBytes    = 16 << 20
)

// When what was taken is acknowledged: docs/gateway.md asks for 64 messages,
// 32 KiB or a second at most.
const (
	ackMessages = 32
	ackBytes    = 16 << 10
	ackDelay    = 100 * time.Millisecond
)

// Message is one that arrived. Data is a string, []byte, nil, bool, int64,
// uint64 (above all int64), float64, []any or map[string]any; Meta the same
// without []byte. Seq is the room's running number, which rises with gaps.
// History marks one from before the session began.
type Message struct {
	Seq     uint64
	Channel string
	From    string
	Data    any
	Meta    any
	History bool
}

// inbox keeps the messages that the application has not taken. Guarded by
// Room.mu.
type inbox struct {
	queue    []arrived
	bytes    int
	session  int           // counts the sessions, as each has its own seqs
	received uint64        // the highest seq in the session
	held     uint64        // what Receive returned last
	taken    uint64        // what the application will not need again
	acked    uint64        // what the server was told of it
	since    int           // messages taken since
	sinceB   int           // and their bytes
	due      time.Time     // when to tell the server at the latest
	arrival  chan struct{} // has a token when the queue is not empty
	room     chan struct{} // has a token when the queue got shorter
}

type arrived struct {
	Message
	size    int
	session int
	skipped bool // it could not be decrypted, and is only to be acknowledged
}

func (i *inbox) init() {
	i.arrival = make(chan struct{}, 1)
	i.room = make(chan struct{}, 1)
}

// restart begins with the seqs of a new session.
func (i *inbox) restart() {
	i.session++
	i.received, i.held, i.taken, i.acked, i.since, i.sinceB = 0, 0, 0, 0, 0, 0
}

// take notes that the application needs nothing up to seq any more.
func (i *inbox) take(seq uint64) {
	if seq <= i.taken {
		return
	}
	if i.taken == i.acked {
		i.due = time.Now().Add(ackDelay)
	}
	i.taken = seq
	i.since++
}

// ack is the acknowledgement that is due, or 0; wait is how long to wait for it.
func (i *inbox) ack() (seq uint64, wait time.Duration) {
	if i.taken == i.acked {
		return 0, -1
	}
	if i.since < ackMessages && i.sinceB < ackBytes {
		if wait = time.Until(i.due); wait > 0 {
			return 0, wait
		}
	}
	i.acked, i.since, i.sinceB = i.taken, 0, 0
	return i.acked, 0
}

// deliver queues a message for Receive. It waits for room, unless the room
// ends or the connection does. Its error says that the message is new and
// cannot be decrypted: Receive leaves it out.
func (r *Room) deliver(c *connection, f *frame, size int) error {
	unreadable := r.unseal(f)
	for {
		r.mu.Lock()
		if f.Seq <= r.in.received {
			r.mu.Unlock()
			return nil // was received on an earlier connection, and not yet acknowledged
		}
		if len(r.in.queue) < inboxMessages && r.in.bytes < inboxBytes {
			break
		}
		room := r.in.room
		r.mu.Unlock()
		select {
		case <-room:
		case <-c.done:
			return nil
		}
	}
	defer r.mu.Unlock()
	m := arrived{
		Message: Message{Seq: f.Seq, Channel: f.Channel, From: f.From, Meta: f.meta(), History: f.History != 0},
		size:    size, session: r.in.session, skipped: unreadable != nil,
	}
	if f.Data != nil {
		m.Data = f.Data.v
	}
	r.in.received = f.Seq
	r.in.queue = append(r.in.queue, m)
	r.in.bytes += size
	signal(r.in.arrival)
	return unreadable
}

// Receive returns the next message. Calling it says that the message before has
// been dealt with: only then it is acknowledged, and the server forgets it.
// Several goroutines must therefore not call it at the same time. Who takes
// longer than 20 s over one may be cut off as slow when many are waiting; the
// room then resumes.
//
// After the room has ended it returns what is left, and then the room's Err.
func (r *Room) Receive(ctx context.Context) (Message, error) {
	r.mu.Lock()
	r.take(r.in.held)
	r.mu.Unlock()
	for {
		r.mu.Lock()
		if len(r.in.queue) > 0 {
			m := r.in.queue[0]
			r.in.queue[0] = arrived{}
			r.in.queue = r.in.queue[1:]
			r.in.bytes -= m.size
			if m.session == r.in.session {
				r.in.held = m.Seq
				r.in.sinceB += m.size
			}
			if len(r.in.queue) > 0 {
				signal(r.in.arrival)
			}
			signal(r.in.room)
			if m.skipped {
				r.take(r.in.held)
			}
			r.mu.Unlock()
			if m.skipped {
				continue
			}
			return m.Message, nil
		}
		err := r.err
		r.mu.Unlock()
		if err != nil {
			return Message{}, err
		}
		select {
		case <-r.in.arrival:
		case <-r.ctx.Done():
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// Ack says that the messages up to seq have been dealt with, without asking for
// the next one.
func (r *Room) Ack(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(min(seq, r.in.held))
}

// take notes what was dealt with and wakes the writer. Needs r.mu.
func (r *Room) take(seq uint64) {
	r.in.take(seq)
	if r.conn != nil && r.in.taken > r.in.acked {
		r.conn.poke()
	}
}

// signal puts a token into a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
