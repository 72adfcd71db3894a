package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/wsload"
	"github.com/gobwas/ws"
)

// plan is what the attackers' process is given, in a file. It leaves what it was
// told (told.counts) in the same file when it is stopped.
type plan struct {
	URL       string
	Addresses int
	Copies    []forgedCopy
}

// forgedCopy is an event that an honest peer will send, with another signature.
type forgedCopy struct {
	At    time.Time
	Frame []byte
}

// attack is the attackers' process.
func attack(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	a := attackers{plan: p, told: told{counts: map[string]int{}}}
	a.run(ctx)
	if text, err = json.Marshal(a.told.counts); err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing what the attackers were told: %w", err)
	}
	return nil
}

// attackers are everybody who attacks.
type attackers struct {
	plan
	told told
}

// run attacks until ctx ends.
func (a *attackers) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range a.Addresses {
		from := fmt.Sprintf("127.0.0.%d", 2+i)
		start := func(n int, attack func(context.Context, string)) {
			for range n {
				all.Go(func() { attack(ctx, from) })
			}
		}
		start(4, a.badSignatures)
		start(subscribers(a.Addresses), a.subscriptions)
		start(1, a.slowReader)
		start(1, a.binaryFrames)
		start(1, a.oversizedFrames)
		// From addresses whose rates the other attacks do not use up.
		all.Go(func() { a.forgedCopies(ctx, fmt.Sprintf("127.0.1.%d", 2+i), i) })
	}
	all.Wait()
}

// connect dials until it succeeds, and runs attack on the connection, whose end
// and answers it watches. The connection is closed when the relay, ctx or the
// attack ends it; connect returns then.
func (a *attackers) connect(ctx context.Context, from string, attack func(conn *wsload.Conn, answers <-chan string)) {
	conn, err := wsload.Dial(ctx, a.URL, from)
	if err != nil {
		if status, ok := errors.AsType[ws.StatusError](err); ok && int(status) == 429 {
			a.told.add("refused.connections_address")
		}
		_ = sleepUntil(ctx, time.Now().Add(10*time.Millisecond)) // the caller sees ctx
		return
	}
	stop := context.AfterFunc(ctx, conn.Close)
	defer stop()
	answers := make(chan string, 16)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(answers)
		for {
			text, err := conn.Next()
			if err != nil {
				conn.Close() // a writer notices
				return
			}
			counter := counterOf(text)
			a.told.add(counter)
			select {
			case answers <- counter:
			default: // most attacks do not ask
			}
		}
	})
	attack(conn, answers)
	reader.Wait()
}
