package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine/journal"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// A room's journal is there as long as there are seats that can be resumed, or
// readers, and for journalAge after the last one or the last message that was
// published. All that time everything is written down, so that it has no holes for
// who goes on from an offset.

// openJournal opens the journal, if it is not open.
func (r *Room) openJournal() error {
	if r.journal != nil {
		return nil
	}
	dir, err := r.node.folder(r.name)
	if err == nil {
		r.journal, err = journal.Open(journal.Config{
			Dir: filepath.Join(dir, "journal"), MaxAge: max(r.age, journalAge),
			MaxBytes: int64(r.node.limits.Load().Journal), Logger: r.log,
			// So that no offset of an earlier journal of the room, which is gone, is
			// one of this.
			First: uint64(r.now().UnixMicro()),
		})
	}
	if err != nil {
		r.journal = nil
		r.log.Error("the room's journal cannot be opened", "error", err)
		return fmt.Errorf("%w: open the journal of room %q: %w", ErrJournal, r.name, err)
	}
	r.head = r.journal.Last()
	return nil
}

// retain has the journal keep what a seat may miss that lives for resume.
func (r *Room) retain(resume time.Duration) {
	if age := 2 * resume; age > max(r.age, journalAge) {
		r.age = age
		r.journal.SetRetention(age, int64(r.node.limits.Load().Journal))
	}
}

// failed gives up a journal that could not be written: what it holds is unknown
// to it. Whoever reads it comes back, to the one that is opened then.
func (r *Room) failed() {
	for _, s := range r.tokens {
		s.posted = s.taken
		if a := s.attached; a != nil {
			a.end(ErrJournal)
		}
	}
	r.endReaders(ErrJournal)
	_ = r.journal.Close() // its error is the one that is told
	r.journal = nil
}

// closeJournal is safe to be called twice, and when the actor does not run.
func (r *Room) closeJournal() error {
	if r.journal == nil {
		return nil
	}
	return r.journal.Close()
}

// removeUnused removes the journal of a room whose seats and readers are long gone.
func (r *Room) removeUnused(now time.Time) {
	if len(r.tokens)+len(r.readers) == 0 && now.Sub(r.unused) >= journalAge {
		r.removeJournal()
	}
}

func (r *Room) removeJournal() {
	if r.journal == nil {
		return
	}
	err := r.journal.Close()
	r.journal, r.history = nil, history{}
	dir, err2 := r.node.folder(r.name)
	if err2 == nil {
		err2 = os.RemoveAll(filepath.Join(dir, "journal"))
	}
	if err := errors.Join(err, err2); err != nil {
		r.log.Warn("the room's journal was not removed", "error", err)
	}
}

// remembered reads what an earlier process left: its seats, with what was taken
// of them, and where recent messages are. It is called before the actor runs.
func (r *Room) remembered() ([]*Seat, error) {
	dir, err := r.node.keptFolder(r.name)
	if err != nil || dir == "" {
		return nil, err
	}
	var kept []store.Seat
	if r.node.store != nil {
		if kept, err = r.node.store.Seats(r.name); err != nil {
			return nil, fmt.Errorf("read the sessions of room %q: %w", r.name, err)
		}
	}
	for _, k := range kept {
		r.age = max(r.age, 2*k.Resume)
	}
	if err := r.openJournal(); err != nil {
		return nil, err
	}
	r.unused = r.now()
	var seats []*Seat
	byID := make(map[string]*Seat)
	for _, k := range kept {
		if k.Joined > r.head {
			continue // see reachable
		}
		s := &Seat{
			room: r, id: k.ID, key: k.Token, identity: Identity(k.Identity),
			joined: k.Joined, taken: k.Taken, resume: k.Resume,
		}
		byID[s.id] = s
		seats = append(seats, s)
	}
	var under unsettled
	if err := r.scan(func(seq uint64, rec *record) {
		if s := byID[rec.from]; s != nil && rec.seat && seq > s.joined {
			s.taken = max(s.taken, rec.ref)
			if rec.links {
				under.sent(seq, rec.ref, s)
			}
		}
	}, under.settle); err != nil {
		return nil, fmt.Errorf("read the journal of room %q: %w", r.name, err)
	}
	under.report(r)
	for _, s := range seats {
		s.stored, s.storedAt = s.taken, r.now()
		s.posted = s.taken
	}
	return seats, nil
}

// scan looks at the whole journal.
func (r *Room) scan(see func(uint64, *record), settle func(checkpoint)) error {
	return eachRecord(r.journal, r.journal.First(), r.head, func(seq uint64, data []byte) {
		if !isMessage(data) {
			if c, err := decodeCheckpoint(data); err == nil {
				settle(c)
			} else {
				r.node.counters.drop("journal: bad record")
			}
			return
		}
		rec, err := decodeRecord(data)
		if err != nil {
			r.node.counters.drop("journal: bad record")
			return
		}
		see(seq, &rec)
		r.history.add(seq, &rec)
	})
}

// eachRecord reads the entries of a journal from first to last, as far as they
// are there. What is damaged the journal has logged when it was opened.
func eachRecord(j *journal.Journal, first, last uint64, see func(seq uint64, data []byte)) error {
	var entries []journal.Entry
	for next := first; next > 0 && next <= last; {
		var err error
		entries, err = j.Read(next, readBytes, entries[:0])
		for _, e := range entries {
			next = e.Offset + 1
			if e.Offset <= last {
				see(e.Offset, e.Data)
			}
		}
		switch {
		case errors.Is(err, journal.ErrGone):
			next = max(next+1, j.First())
		case errors.Is(err, journal.ErrDamaged):
			next++
		case err != nil:
			return err
		case len(entries) == 0:
			return nil
		}
	}
	return nil
}

// write appends messages to the journal, in one piece, before anybody is told of
// them, if there is a journal or somebody who needs one.
func (r *Room) write(batch []*posting) error {
	if len(batch) == 0 || !r.recorded(batch) {
		return nil
	}
	if err := r.openJournal(); err != nil {
		return err
	}
	var (
		arena   = r.arena[:0]
		ends    []int
		records = make([]record, len(batch))
	)
	for i, p := range batch {
		records[i] = p.record()
		arena = records[i].append(arena)
		ends = append(ends, len(arena))
	}
	entries := make([][]byte, len(batch))
	start := 0
	for i, end := range ends {
		entries[i] = arena[start:end:end]
		start = end
	}
	if r.arena = arena; cap(arena) > stagedBytes {
		r.arena = nil
	}
	last, err := r.journal.Append(entries...)
	if err != nil {
		r.node.counters.drop("journal: not written")
		r.failed()
		return fmt.Errorf("%w: %w", ErrJournal, err)
	}
	r.head = last
	if r.unstored += len(arena); r.unstored > r.node.limits.Load().Journal/4 {
		r.snapshot() // before the journal gives up what it knows
	}
	first := last - uint64(len(batch)) + 1
	for i, p := range batch {
		p.seq = first + uint64(i)
		r.history.add(p.seq, &records[i])
	}
	return nil
}

// recorded tells whether messages are to be written down.
func (r *Room) recorded(batch []*posting) bool {
	for _, p := range batch {
		if p.told != nil { // its sender is told where it is
			r.unused = r.now()
			return true
		}
	}
	return r.journal != nil || len(r.tokens)+len(r.readers) > 0
}

// durably is the journal, if messages are told of only once they would survive a
// power cut.
func (r *Room) durably() *journal.Journal {
	if r.durable {
		return r.journal
	}
	return nil
}

// written has a seat told that what it sent up to ref is written down; in a
// durable room, once it would survive a power cut.
func (r *Room) written(s *Seat, ref uint64) {
	switch {
	case !s.resumable() || ref == 0:
	case r.durable:
		r.unsynced[s] = max(r.unsynced[s], ref)
		r.sync()
	default:
		s.accept(ref)
	}
}

// sync waits for the disk, for all who wait at once.
func (r *Room) sync() {
	if r.syncing || len(r.unsynced) == 0 || r.journal == nil {
		return
	}
	r.syncing = true
	waiting, j, head := r.unsynced, r.journal, r.head
	r.unsynced = make(map[*Seat]uint64)
	r.tasks.Go(func() {
		err := j.WaitSynced(context.Background(), head)
		r.post(func() {
			r.syncing = false
			switch {
			case err == nil:
				for s, ref := range waiting {
					s.accept(ref)
				}
			case r.journal == j && !r.closing:
				r.log.Error("messages are not acknowledged", "error", err)
				r.failed()
			}
			r.sync()
		})
	})
}

// unreadable ends an attachment that cannot be given what it has missed.
func (r *Room) unreadable(a *Attachment, err error) error {
	select {
	case <-r.stopping:
		return ErrClosed
	default:
	}
	why := ErrJournal
	if errors.Is(err, journal.ErrGone) {
		why = ErrOverflow
	} else {
		r.log.Error("the room's journal cannot be read", "error", err)
	}
	a.end(why)
	r.post(func() {
		if a.seat.attached == a && why == ErrOverflow {
			r.unseat(a.seat, why)
		}
	})
	return why
}

// history knows where the last messages to all are in the journal.
type history struct {
	offsets []uint64 // a ring, once it is full
	next    int
}

func (h *history) add(seq uint64, rec *record) {
	switch {
	case rec.to == toListed:
	case len(h.offsets) < MaxHistory:
		h.offsets = append(h.offsets, seq)
	default:
		h.offsets[h.next] = seq
		h.next = (h.next + 1) % MaxHistory
	}
}

// last returns the places of the last n messages, oldest first.
func (h *history) last(n int) []uint64 {
	n = min(n, len(h.offsets))
	if n <= 0 {
		return nil
	}
	all := append(append([]uint64(nil), h.offsets[h.next:]...), h.offsets[:h.next]...)
	return all[len(all)-n:]
}

// prepend puts messages of the journal before all others in the queue; the
// newest of them, if they are more than half of what may wait.
func (a *Attachment) prepend(offsets []uint64) {
	var (
		messages []Event
		total    int
	)
	wanted := make(map[uint64]struct{}, len(offsets))
	for _, o := range offsets {
		wanted[o] = struct{}{}
	}
	err := eachRecord(a.journal, offsets[0], offsets[len(offsets)-1], func(seq uint64, data []byte) {
		if _, ok := wanted[seq]; !ok {
			return
		}
		rec, err := decodeRecord(data)
		if err != nil {
			a.seat.room.node.counters.drop("journal: bad record")
			return
		}
		m := rec.message(seq)
		m.History = true
		messages, total = append(messages, m), total+m.cost()
		for ; total > a.limit/2 && len(messages) > 1; messages = messages[1:] {
			total -= messages[0].cost()
		}
	})
	if err != nil {
		a.seat.room.log.Error("the room's journal cannot be read", "error", err)
	}
	a.seat.mu.Lock()
	defer a.seat.mu.Unlock()
	if a.err == nil {
		a.queue = append(messages, a.queue...)
		a.waiting += total
		a.signal()
	}
}

// folder is where a room keeps its files: in the node's folder, or else in one
// that is removed when the node is closed.
func (n *Node) folder(room string) (string, error) {
	n.folders.Lock()
	defer n.folders.Unlock()
	if n.dir == "" {
		dir, err := os.MkdirTemp("", "genosrtc-")
		if err != nil {
			return "", err
		}
		n.dir, n.temporary = dir, true
	}
	return filepath.Join(n.dir, "rooms", escapeRoom(room)), nil
}

// keptFolder is the folder of a room that an earlier process left; empty if there
// is none.
func (n *Node) keptFolder(room string) (string, error) {
	if n.store == nil {
		return "", nil
	}
	dir := filepath.Join(n.dir, "rooms", escapeRoom(room))
	_, err := os.Stat(filepath.Join(dir, "journal"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return dir, err
}

// escapeRoom makes a file name of a room's, one for each, also where case does
// not matter. It may be long; what is too long for a file system fails there.
func escapeRoom(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
