package engine

import (
	"context"

	"github.com/genosrtc/caddy-genosrtc/engine/frame"
	"github.com/genosrtc/caddy-genosrtc/engine/journal"
)

// Published is what became of a message of Room.Publish.
type Published struct {
	Seq uint64 // its place in the journal
	// Results are the recipients that are known not to get it. One whose link is
	// lost while the message is on its way is only counted, in Stats.Dropped.
	Results []Result
}

// published is what the actor tells Publish.
type published struct {
	err     error
	journal *journal.Journal // where the message is; nil if nobody waits for the disk
}

// Publish has the server's own peer send a message: Outgoing's Ref and Progress
// mean nothing. by is whose it is, for the rate of its channel, which peers do not
// share with those for whom the server speaks. It returns once the message is written down and passed on; in a
// durable room, once it would survive a power cut. It fails with ErrChannelName,
// ErrTooMany (recipients), ErrTooLarge (more than 15 MiB), a *RuleError, ErrClosed,
// ErrJournal, or with ctx's error, while the message has not been taken: from then on it waits
// for the outcome whatever ctx does.
func (r *Room) Publish(ctx context.Context, by string, o Outgoing) (Published, error) {
	switch {
	case !ValidChannel(o.Channel):
		return Published{}, ErrChannelName
	case len(o.To) > MaxRecipients:
		return Published{}, ErrTooMany
	case len(o.Content.Data)+len(o.Content.Meta) > maxContent:
		return Published{}, ErrTooLarge
	}
	o.Ref, o.Progress = 0, false
	// A seat that nobody sees, for as long as the message lives, hears its results.
	s := &Seat{room: r, owner: by}
	if err := r.rule(o.Channel).check(s.sender(), r.now(), &o.Content); err != nil {
		r.node.counters.broken(err)
		return Published{}, err
	}
	s.attached = &Attachment{seat: s, limit: r.node.limits.Load().Pending, wake: make(chan struct{}, 1)}
	if !r.ask(func() { s.id, s.hosted = r.server.id, r.server }) {
		return Published{}, ErrClosed
	}
	frames, err := frame.Encode(o.Channel, s.hosted.nextNonce(o.Channel), o.Content)
	if err != nil {
		frames = nil // too large for the mesh, not for seats and readers
	}
	p := &posting{seat: s, out: o, frames: frames, told: make(chan published, 1)}
	if err := r.giveCtx(ctx, job{post: p}); err != nil {
		return Published{}, err
	}
	r.node.counters.messagesOut.Add(1)
	var done published
	select {
	case done = <-p.told:
	case <-r.done:
		select { // it may have been the actor's last act
		case done = <-p.told:
		default:
			done.err = ErrClosed
		}
	}
	if done.err == nil && done.journal != nil {
		done.err = r.awaitDisk(done.journal, p.seq)
	}
	if done.err != nil {
		return Published{}, done.err
	}
	return Published{p.seq, s.results()}, nil
}

// awaitDisk waits until a message would survive a power cut.
func (r *Room) awaitDisk(j *journal.Journal, seq uint64) error {
	err := j.WaitSynced(context.Background(), seq)
	if err == nil {
		return nil
	}
	r.post(func() {
		if r.journal == j && !r.closing {
			r.log.Error("a message is not acknowledged", "error", err)
			r.failed()
		}
	})
	return ErrJournal
}

// results ends the seat of Publish and returns what it was told.
func (s *Seat) results() []Result {
	a := s.attached
	s.mu.Lock()
	defer s.mu.Unlock()
	var results []Result
	for _, e := range a.queue {
		if e, ok := e.(Result); ok {
			results = append(results, e)
		}
	}
	a.queue = nil
	a.stop(ErrLeft)
	return results
}
