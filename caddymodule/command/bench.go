package command

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	genosrtc "github.com/genosrtc/caddy-genosrtc"
	"github.com/genosrtc/caddy-genosrtc/client"
	"github.com/genosrtc/caddy-genosrtc/internal/histogram"
)

const (
	benchChannel = "bench"
	// opening is how many sessions are opened at once.
	opening = 16
	// benchTail is how long the last messages have to arrive.
	benchTail = 10 * time.Second
)

func benchCommand() *cobra.Command {
	b := bench{screen: standardError()}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measures a server: deliveries a second, latency, losses",
		Long: `
Opens sessions in a room, has them take turns in sending messages to all others,
and prints how many were delivered, how long they took and how many are missing.
Latency counts from when a message was due, so that a sender that is held up
does not make it look better.

The server is that of --server or GENOSRTC_SERVER; without either one is started
in this process, on loopback. The clients are in this process in any case: what
they need of the machine is missing to a server beside them. A server takes 256
sessions from one address unless its limits say more (per_address).`,
		Example: `  caddy genosrtc bench
  caddy genosrtc bench --sessions 200 --rate 50 --size 1000 --duration 30s
  caddy genosrtc bench --server https://example.com/genosrtc --room load-test`,
		Args: cobra.NoArgs,
		RunE: action(b.run),
	}
	b.at.flags(cmd)
	f := cmd.Flags()
	f.IntVar(&b.sessions, "sessions", 50, "how many sessions")
	f.IntVar(&b.size, "size", 100, "bytes in a message, at least 8")
	f.IntVar(&b.rate, "rate", 100, "messages a second, of all sessions together; each goes to all others")
	f.DurationVar(&b.duration, "duration", 10*time.Second, "how long to send")
	return cmd
}

// bench is a run of the command bench.
type bench struct {
	at                   place
	screen               *screen
	sessions, size, rate int
	duration             time.Duration

	rooms    []*client.Room
	start    time.Time // of the measurement
	latency  histogram.Histogram
	arrived  atomic.Int64
	received chan struct{} // has a token when a message arrived
	cuts     atomic.Int64
}

func (b *bench) run(ctx context.Context, _ []string) error {
	switch {
	case b.sessions < 2:
		return fmt.Errorf("--sessions %d: it takes two to talk", b.sessions)
	case b.size < 8:
		return fmt.Errorf("--size %d: a message carries its time, which has 8 bytes", b.size)
	case b.rate < 1 || b.duration <= 0:
		return errors.New("--rate and --duration must be above 0")
	}
	if b.at.server == "" && os.Getenv("GENOSRTC_SERVER") == "" {
		server, err := startServer(b.sessions)
		if err != nil {
			return fmt.Errorf("start a server: %w", err)
		}
		defer server.close()
		b.at.server, b.at.room = server.url, benchChannel
	}
	b.received = make(chan struct{}, 1)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer b.leave()
	began := time.Now()
	if err := b.open(ctx); err != nil {
		return err
	}
	b.screen.say("%d sessions in room %q after %s; sending for %v", b.sessions, b.at.room, durationText(time.Since(began)), b.duration)
	b.start = time.Now()
	for _, room := range b.rooms {
		reading.Go(func() { b.read(room) })
	}
	sent, err := b.send(ctx)
	if err != nil {
		return err
	}
	took := time.Since(b.start)
	want := int64(sent) * int64(b.sessions-1)
	b.wait(ctx, want)
	return b.report(sent, want, took)
}

// open opens the sessions.
func (b *bench) open(ctx context.Context) error {
	var mu sync.Mutex
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(opening)
	b.at.complete()
	for range b.sessions {
		group.Go(func() error {
			room, err := b.at.dial(within, client.Options{Notify: func(e client.Event) {
				if _, ok := e.(client.Offline); ok {
					b.cuts.Add(1)
				}
			}})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			b.rooms = append(b.rooms, room)
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

func (b *bench) leave() {
	var all sync.WaitGroup
	for _, room := range b.rooms {
		all.Go(func() { leave(room) }) // what it says does not matter here
	}
	all.Wait()
}

// send has the sessions send in turns, each message at its time.
func (b *bench) send(ctx context.Context) (sent int, err error) {
	every := time.Second / time.Duration(b.rate)
	payload := make([]byte, b.size)
	for due := time.Duration(0); due < b.duration; due += every {
		select {
		case <-time.After(time.Until(b.start.Add(due))):
		case <-ctx.Done():
			return sent, errInterrupted
		}
		binary.BigEndian.PutUint64(payload, uint64(due))
		if _, err := b.rooms[sent%b.sessions].Send(ctx, benchChannel, payload); err != nil {
			if ctx.Err() != nil {
				err = errInterrupted
			}
			return sent, b.at.explain(err)
		}
		sent++
	}
	return sent, nil
}

// read counts what a session receives.
func (b *bench) read(room *client.Room) {
	for {
		m, err := room.Receive(context.Background())
		if err != nil {
			return
		}
		payload, ok := m.Data.([]byte)
		if !ok || m.Channel != benchChannel || len(payload) != b.size {
			continue
		}
		b.latency.Add(time.Since(b.start) - time.Duration(binary.BigEndian.Uint64(payload)))
		b.arrived.Add(1)
		select {
		case b.received <- struct{}{}:
		default:
		}
	}
}

// wait waits until everything arrived, or nothing more for a time.
func (b *bench) wait(ctx context.Context, want int64) {
	for b.arrived.Load() < want {
		select {
		case <-b.received:
		case <-time.After(benchTail):
			return
		case <-ctx.Done():
			return
		}
	}
}

func (b *bench) report(sent int, want int64, took time.Duration) error {
	arrived := b.arrived.Load()
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "sessions\t%d, %d connections lost\n", b.sessions, b.cuts.Load())
	fmt.Fprintf(t, "sent\t%d messages of %d bytes in %s\n", sent, b.size, durationText(took))
	fmt.Fprintf(t, "deliveries\t%d, %.0f/s\n", arrived, float64(arrived)/took.Seconds())
	fmt.Fprintf(t, "latency\tp50 %v, p99 %v\n", b.latency.Quantile(0.5), b.latency.Quantile(0.99))
	fmt.Fprintf(t, "missing\t%d\n", max(0, want-arrived))
	if err := t.Flush(); err != nil {
		return err
	}
	if arrived < want {
		return fmt.Errorf("%d of %d deliveries are missing", want-arrived, want)
	}
	return nil
}

// ownServer is a server in this process.
type ownServer struct {
	url    string
	server *genosrtc.Server
	web    *http.Server
	serves sync.WaitGroup
}

func startServer(sessions int) (*ownServer, error) {
	server, err := genosrtc.New(genosrtc.Config{
		Rooms: []genosrtc.Room{{Name: benchChannel}}, UDP: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	site := genosrtc.Site{}
	site.Limits.Sessions, site.Limits.SessionsPerAddress = sessions, sessions
	handler, err := server.Handler(site)
	if err != nil {
		return nil, errors.Join(err, server.Close(context.Background()))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, server.Close(context.Background()))
	}
	s := &ownServer{url: "http://" + listener.Addr().String() + "/genosrtc", server: server, web: &http.Server{Handler: handler}}
	s.serves.Go(func() { s.web.Serve(listener) })
	return s, nil
}

func (s *ownServer) close() {
	s.web.Close()
	s.server.Close(context.Background())
	s.serves.Wait()
}
