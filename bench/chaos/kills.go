package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// kills kills the server again and again under one sender and one receiver,
// whose sockets are cut too, so that messages wait in the journal at the kill.
func kills(ctx context.Context, o options) (err error) {
	n := o.kills
	if n == 0 {
		n = 200
	}
	s, err := newServer(o.caddy, "room demo")
	if err != nil {
		return err
	}
	defer func() { s.close(&err) }()
	if _, err := s.start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	k := newCutter()
	var lost atomic.Int64
	notify := func(e client.Event) {
		if l, ok := e.(client.Lost); ok {
			lost.Add(1)
			cancel(fmt.Errorf("a session was lost: %s", l.Reason))
		}
	}
	bob, err := client.Dial(ctx, s.url(), "demo", client.Options{HTTPClient: k.client, Notify: notify})
	if err != nil {
		return err
	}
	defer bob.Close()
	alice, err := client.Dial(ctx, s.url(), "demo", client.Options{HTTPClient: k.client, Notify: notify})
	if err != nil {
		return err
	}
	defer alice.Close()

	stop := make(chan struct{})
	sent := make(chan int)
	go func() {
		defer close(sent)
		for i := 0; ; i++ {
			select {
			case <-stop:
				sent <- i
				return
			default:
			}
			if _, err := alice.Send(ctx, "chat", i); err != nil {
				cancel(err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var received atomic.Int64
	go func() {
		for {
			m, err := bob.Receive(ctx)
			if err != nil {
				return
			}
			if want := received.Load(); m.Data != want || m.From != alice.Peer() {
				cancel(fmt.Errorf("message %v of %s arrived in the place of %d", m.Data, m.From, want))
				return
			}
			received.Add(1)
		}
	}()

	var starts []time.Duration
	for range n {
		for _, r := range []*client.Room{alice, bob} { // so that each kill meets them at work
			if err := until(ctx, 60*time.Second, "a client to be connected again", r.Online); err != nil {
				return err
			}
		}
		wait := time.Duration(10+o.rng.IntN(800)) * time.Millisecond
		if o.rng.IntN(2) == 0 {
			time.Sleep(wait / 2)
			k.cut(o.rng)
			wait /= 2
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		acked := alice.Acked()
		s.kill()
		took, err := s.start(ctx)
		if err != nil {
			return err
		}
		starts = append(starts, took)
		if len(starts)%20 == 0 {
			fmt.Printf("%d kills, %d cuts: %d acknowledged before the last, %d received\n", len(starts), k.cuts(), acked, received.Load())
		}
	}
	close(stop)
	var total int
	select {
	case total = <-sent:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := until(ctx, 60*time.Second, "all messages", func() bool { return received.Load() >= int64(total) }); err != nil {
		return err
	}
	if err := alice.Wait(ctx, uint64(total)); err != nil {
		return err
	}
	slices.Sort(starts)
	fmt.Printf("%d kills, %d cuts: %d sent and acknowledged, %d received, in order, 0 lost, 0 doubled, %d sessions lost\n", n, k.cuts(), total, received.Load(), lost.Load())
	fmt.Printf("start of Caddy until it answers: median %v, longest %v\n", starts[len(starts)/2].Round(time.Millisecond), starts[len(starts)-1].Round(time.Millisecond))
	fmt.Printf("peak of the server's memory: %.0f MiB\n", s.peakMemory())
	return nil
}

// until waits for a condition.
func until(ctx context.Context, limit time.Duration, what string, is func() bool) error {
	end := time.Now().Add(limit)
	for !is() {
		if time.Now().After(end) {
			return errors.New("waited in vain for " + what)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
