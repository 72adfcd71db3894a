package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// awayRate is how many messages a second are sent to who is away.
const awayRate = 50

// shortLife is how long sessions of the room "short" live without a connection.
const shortLife = 5 * time.Second

// away has a client come back in time, and another too late.
func away(ctx context.Context, o options) (err error) {
	if o.length == 0 {
		o.length = 90 * time.Second
	}
	s, err := newServer(o.caddy, "room demo")
	if err != nil {
		return err
	}
	defer func() { s.close(&err) }()
	if _, err := s.start(ctx); err != nil {
		return err
	}
	if err := backInTime(ctx, s, o.length); err != nil {
		return err
	}
	s.kill()
	s.rooms = fmt.Sprintf("room demo\nlimits {\nresume %v\n}", shortLife)
	if _, err := s.start(ctx); err != nil {
		return err
	}
	return tooLate(ctx, s)
}

// pair is a sender and a receiver.
func pair(ctx context.Context, s *server) (sender, receiver *client.Room, err error) {
	if sender, err = client.Dial(ctx, s.url(), "demo", client.Options{}); err != nil {
		return nil, nil, err
	}
	if receiver, err = client.Dial(ctx, s.url(), "demo", client.Options{}); err != nil {
		sender.Close()
	}
	return sender, receiver, err
}

// speak sends the numbers from first on, for that long, and returns the next.
func speak(ctx context.Context, r *client.Room, first int, length time.Duration) (int, error) {
	tick := time.NewTicker(time.Second / awayRate)
	defer tick.Stop()
	var last uint64
	for end := time.Now().Add(length); time.Now().Before(end); first++ {
		<-tick.C
		var err error
		if last, err = r.Send(ctx, "chat", first); err != nil {
			return 0, err
		}
	}
	return first, r.Wait(ctx, last)
}

// leaveFor closes a room, has the other speak meanwhile, and returns the room's
// state, how many numbers it took, and how many were spoken.
func leaveFor(ctx context.Context, sender, receiver *client.Room, length time.Duration) (state *client.State, taken, said int, err error) {
	// Some are received, and some are on the way, when it goes.
	n, err := speak(ctx, sender, 0, time.Second)
	if err != nil {
		return nil, 0, 0, err
	}
	for i := range n / 2 {
		if m, err := receiver.Receive(ctx); err != nil || m.Data != int64(i) {
			return nil, 0, 0, fmt.Errorf("before it went: %+v, %w", m, err)
		}
	}
	receiver.Ack(^uint64(0))
	st, err := receiver.State()
	if err != nil {
		return nil, 0, 0, err
	}
	receiver.Close()
	said, err = speak(ctx, sender, n, length)
	return &st, n / 2, said, err
}

func backInTime(ctx context.Context, s *server, length time.Duration) error {
	sender, receiver, err := pair(ctx, s)
	if err != nil {
		return err
	}
	defer sender.Close()
	id := receiver.Peer()
	state, taken, n, err := leaveFor(ctx, sender, receiver, length)
	if err != nil {
		return err
	}
	resumed := false
	receiver, err = client.Dial(ctx, s.url(), "demo", client.Options{State: state, Notify: func(e client.Event) {
		if e == (client.Resumed{}) {
			resumed = true
		}
	}})
	if err != nil {
		return err
	}
	defer receiver.Close()
	if !resumed || receiver.Peer() != id {
		return fmt.Errorf("it was not resumed, or is %s instead of %s", receiver.Peer(), id)
	}
	began := time.Now()
	seq := state.Received
	for i := taken; i < n; i++ {
		m, err := receiver.Receive(ctx)
		if err != nil {
			return err
		}
		if m.Data != int64(i) || m.Seq <= seq || m.History {
			return fmt.Errorf("%+v came in the place of %d, after seq %d", m, i, seq)
		}
		seq = m.Seq
	}
	fmt.Printf("away for %v: resumed, the same id; messages %d to %d of %d came in order within %v\n", length, taken, n-1, n, time.Since(began).Round(time.Millisecond))
	return nil
}

func tooLate(ctx context.Context, s *server) error {
	sender, receiver, err := pair(ctx, s)
	if err != nil {
		return err
	}
	defer sender.Close()
	id := receiver.Peer()
	state, _, n, err := leaveFor(ctx, sender, receiver, shortLife+3*time.Second)
	if err != nil {
		return err
	}
	const history = 100
	var lost client.Lost
	receiver, err = client.Dial(ctx, s.url(), "demo", client.Options{State: state, History: history, Notify: func(e client.Event) {
		if l, ok := e.(client.Lost); ok {
			lost = l
		}
	}})
	if err != nil {
		return err
	}
	defer receiver.Close()
	if lost.Reason != "expired" || receiver.Peer() == id {
		return fmt.Errorf("the reason is %q, and the id %s after %s", lost.Reason, receiver.Peer(), id)
	}
	for i := n - history; i < n; i++ {
		m, err := receiver.Receive(ctx)
		if err != nil {
			return err
		}
		if m.Data != int64(i) || !m.History {
			return fmt.Errorf("%+v came in the place of %d of the history", m, i)
		}
	}
	if _, err := sender.Send(ctx, "chat", "new"); err != nil {
		return err
	}
	m, err := receiver.Receive(ctx)
	if err == nil && (m.Data != "new" || m.History) {
		err = errors.New("no new message")
	}
	if err != nil {
		return fmt.Errorf("after the history: %+v, %w", m, err)
	}
	fmt.Printf("away for %v, sessions live %v: a new session, the reason %q, and the last %d messages as history\n", shortLife+3*time.Second, shortLife, lost.Reason, history)
	return nil
}
