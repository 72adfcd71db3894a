package bulk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// Mixed is what Mix measured.
type Mixed struct {
	Rate     float64       // of the bulk, bytes/s
	P50, P99 time.Duration // of a small message's way, from Send to the other seat
}

const (
	smallEvery = 10 * time.Millisecond
	smallSize  = 100 // bytes
)

// Mix sends for a time: messages of 128 KiB on one channel, if there is to be
// bulk, as fast as the link takes them; and, if there are to be small ones, one
// of 100 bytes every 10 ms on another channel. It returns when all have arrived.
func (l *Link) Mix(ctx context.Context, d time.Duration, bulk, small bool) (Mixed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		m     Mixed
		wg    sync.WaitGroup
		start = time.Now()
		got   int
		ways  []time.Duration
	)
	run := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				cancel(err)
			}
		})
	}
	run(func() (err error) {
		got, ways, err = l.hear(ctx, start, d)
		return err
	})
	var senders sync.WaitGroup
	if bulk {
		senders.Add(1)
		run(func() error { defer senders.Done(); return l.flood(ctx, start.Add(d)) })
	}
	if small {
		senders.Add(1)
		run(func() error { defer senders.Done(); return l.chat(ctx, start, d) })
	}
	senders.Wait()
	if err := l.say(ctx, "end", nil); err != nil {
		cancel(err)
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return m, fmt.Errorf("bulk %t and small messages %t for %s: %w", bulk, small, d, err)
	}
	m.Rate = float64(got) / d.Seconds()
	if slices.Sort(ways); len(ways) > 0 {
		m.P50, m.P99 = ways[len(ways)/2], ways[len(ways)*99/100]
	}
	return m, nil
}

func (l *Link) say(ctx context.Context, channel string, data []byte) error {
	return l.From.Send(ctx, engine.Outgoing{
		Channel: channel, To: []string{l.Target}, Content: engine.Content{Kind: engine.Binary, Data: data},
	})
}

// chat sends small messages, with the time that they were sent at.
func (l *Link) chat(ctx context.Context, start time.Time, d time.Duration) error {
	for at := time.Duration(0); at < d; at += smallEvery {
		time.Sleep(at - time.Since(start))
		data := binary.BigEndian.AppendUint64(make([]byte, 0, smallSize), uint64(time.Since(start)))
		if err := l.say(ctx, "chat", data[:smallSize]); err != nil {
			return err
		}
	}
	return nil
}

// flood sends as fast as the link takes it.
func (l *Link) flood(ctx context.Context, until time.Time) error {
	data, under := make([]byte, perMessage), 0
	for time.Now().Before(until) || under > 0 {
		for ; time.Now().Before(until) && under < perLink/perMessage; under++ {
			if err := l.From.Send(ctx, engine.Outgoing{
				Channel: "bulk", To: []string{l.Target}, Progress: true, Content: engine.Content{Kind: engine.Binary, Data: data},
			}); err != nil {
				return err
			}
		}
		events, err := l.From.Next(ctx, nil)
		if err != nil {
			return err
		}
		for _, e := range events {
			switch e := e.(type) {
			case engine.Result:
				return e.Err
			case engine.Progress:
				if e.Fraction == 1 {
					under--
				}
			}
		}
	}
	return nil
}

// hear receives until the end, and returns the bytes of the bulk that came in
// time and the small messages' times.
func (l *Link) hear(ctx context.Context, start time.Time, d time.Duration) (got int, ways []time.Duration, err error) {
	for {
		events, err := l.To.Next(ctx, nil)
		if err != nil {
			return 0, nil, errors.Join(err, context.Cause(ctx))
		}
		for _, e := range events {
			m, ok := e.(*engine.Message)
			switch {
			case !ok:
			case m.Channel == "end":
				return got, ways, nil
			case m.Channel == "chat":
				ways = append(ways, time.Since(start)-time.Duration(binary.BigEndian.Uint64(m.Content.Data)))
			case time.Since(start) < d:
				got += len(m.Content.Data)
			}
		}
	}
}
