package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genosrtc/caddy-genosrtc/client"
)

const (
	killEvery   = 11 * time.Second
	reloadEvery = 10 * time.Second
	cutEvery    = 300 * time.Millisecond
	settleIn    = 2 * time.Minute
)

// meshShare of the sessions have a peer of their own in the mesh.
const meshShare = 5 // one in

// chaos has a company talk while all is cut off, reloaded and killed.
func chaos(ctx context.Context, o options) (err error) {
	if o.kills == 0 {
		o.kills = 10
	}
	if o.size == 0 {
		o.size = 20
	}
	s, err := newServer(o.caddy, `room mesh
		room plain {
			identity server
		}
		limits {
			sessions 1000
			per_address 1000
		}`)
	if err != nil {
		return err
	}
	defer func() { s.close(&err) }()
	if _, err := s.start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fail := func(err error) { cancel(err) }

	k := newCutter()
	meshed := o.sessions / meshShare
	mesh, err := joinGroup(ctx, s, k, "mesh", 0, meshed, fail)
	defer leave(mesh)
	if err != nil {
		return err
	}
	plain, err := joinGroup(ctx, s, k, "plain", meshed, o.sessions-meshed, fail)
	defer leave(plain)
	if err != nil {
		return err
	}
	groups := []*group{mesh, plain}
	all := slices.Concat(mesh.members, plain.members)
	for _, m := range mesh.members {
		if _, identity := m.room.Mesh(); identity != "session" {
			return fmt.Errorf("session %d has identity %s", m.number, identity)
		}
	}
	pages, err := openPages(o.pages, s)
	if err != nil {
		return err
	}

	began := time.Now()
	length := time.Duration(o.kills) * killEvery
	fmt.Printf("%d sessions (%d with a peer of their own), %d pages, %d deliveries, %d files of %d MiB, within %v\n",
		len(all), meshed, len(pages.ids), o.deliveries, o.files, o.size, length)
	var budget atomic.Int64
	budget.Store(int64(o.deliveries))
	listening, stop := context.WithCancel(ctx)
	defer stop()
	var talkers, listeners, files sync.WaitGroup
	rate := float64(o.deliveries) / length.Seconds()
	for _, g := range groups {
		share := rate * float64(len(g.members)) / float64(len(all))
		for _, m := range g.members {
			rng := rand.New(rand.NewPCG(o.rng.Uint64(), 0))
			listeners.Go(func() { m.listen(listening) })
			talkers.Go(func() { m.talk(ctx, rng, share, &budget, pages.ids) })
		}
	}
	for i := range o.files {
		g := groups[i%len(groups)]
		from := g.members[o.rng.IntN(len(g.members))]
		to := from.to("one")[0]
		after := time.Duration(o.rng.Int64N(int64(length) * 2 / 3))
		files.Go(func() { pass(ctx, uint64(i+1), int64(o.size)<<20, from, to, after, fail) })
	}

	trouble := make(chan error, 1)
	rng := rand.New(rand.NewPCG(o.rng.Uint64(), 0))
	go func() { trouble <- harm(ctx, o, s, k, rng) }()
	talkers.Wait()
	said := time.Since(began)
	if err := <-trouble; err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	files.Wait()
	waited := until(ctx, settleIn, "the last messages", func() bool {
		return !slices.ContainsFunc(all, func(m *member) bool { return !m.whole() })
	})
	if waited == nil {
		time.Sleep(2 * time.Second) // for what might come twice
	}
	stop()
	listeners.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var deliveries, expected int64
	resumed := 0
	for _, m := range all {
		deliveries += m.received.Load()
		expected += m.expected.Load()
		m.mu.Lock()
		resumed += m.resumed
		m.mu.Unlock()
	}
	fmt.Printf("%d kills, %d reloads, %d cuts, %d resumptions; talked for %v, all over after %v\n",
		o.kills, s.changes.Load(), k.cuts(), resumed, said.Round(time.Second), time.Since(began).Round(time.Second))
	fmt.Printf("between sessions: %d deliveries of %d\n", deliveries, expected)
	for _, g := range groups {
		if err := g.complete(); err != nil {
			return err
		}
	}
	if waited != nil {
		return waited
	}
	fmt.Printf("0 lost, 0 doubled, 0 out of order, ids unchanged; %d files of %d MiB arrived whole\n", o.files, o.size)
	fmt.Printf("peak of the server's memory: %.0f MiB\n", s.peakMemory())
	return pages.report(all)
}

func leave(g *group) {
	for _, m := range g.members {
		m.room.Close()
	}
}

// pass sends a file from one to another.
func pass(ctx context.Context, number uint64, size int64, from, to *member, after time.Duration, fail func(error)) {
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return
	}
	p := newPattern(number, size)
	to.mu.Lock()
	to.files[number] = p
	to.mu.Unlock()
	u, err := from.room.SendReader("file", p, size, client.Outgoing{Options: []client.SendOption{client.To(to.id), client.Meta(number)}})
	if err != nil {
		fail(err)
		return
	}
	results, err := u.Wait(ctx)
	if err != nil || len(results) > 0 {
		fail(fmt.Errorf("file %d, at %d of %d: %v, %w", number, u.Acked(), size, results, err))
	}
}

// harm cuts, reloads and kills, and leaves the server running.
func harm(ctx context.Context, o options, s *server, k *cutter, rng *rand.Rand) error {
	cut, reload := time.NewTicker(cutEvery), time.NewTicker(reloadEvery)
	defer cut.Stop()
	defer reload.Stop()
	kill := time.NewTimer(killEvery)
	defer kill.Stop()
	for kills := 0; kills < o.kills; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-cut.C:
			k.cut(rng)
		case <-reload.C:
			if err := s.reload(ctx); err != nil {
				return err
			}
		case <-kill.C:
			s.kill()
			if _, err := s.start(ctx); err != nil {
				return err
			}
			kills++
			kill.Reset(killEvery/2 + time.Duration(rng.Int64N(int64(killEvery))))
			fmt.Printf("kill %d\n", kills)
		}
	}
	return nil
}
