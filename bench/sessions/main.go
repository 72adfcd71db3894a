// Command sessions measures what sessions cost that do nothing: see usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

const usage = `Measures what idle sessions cost the server.

  go run ./bench/sessions
        10,000 sessions in 200 rooms, and again in one room, for 10 minutes each
  go run ./bench/sessions -sessions 2000 -rooms 40,1 -time 1m

The server, with its default limits, runs in a process of its own; the clients
are in this one, on real WebSockets. They come from several loopback addresses
(which on systems other than Linux have to be added first), and answer pings.
Both processes need a file descriptor for each session: see ulimit -n.

Memory is measured after everybody has joined and heard of all others, and the
server has collected its garbage: what the kernel counts as resident, and what
the Go runtime says is live, with stacks. At the end each session sends a ping
and has to get its pong. A session that was dropped ends the run.

The table goes to standard output, progress to standard error.

`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sessions:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		rooms, err := strconv.Atoi(os.Args[2])
		if err != nil {
			return fmt.Errorf("number of rooms: %w", err)
		}
		return serve(rooms, os.Args[3])
	}
	sessions := flag.Int("sessions", 10_000, "sessions")
	list := flag.String("rooms", "200,1", "numbers of rooms, separated by commas")
	length := flag.Duration("time", 10*time.Minute, "how long the sessions are idle")
	heap := flag.String("heap", "", "`prefix` of files for heap profiles of the server")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || *sessions < 1 {
		return errors.New("the number of sessions must be positive, and there are no arguments: see -h")
	}
	rooms := make(map[string]int)
	var names []string
	for text := range strings.SplitSeq(*list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-rooms: %q is no number of rooms", text)
		}
		name := fmt.Sprintf("%d sessions in %d rooms", *sessions, n)
		names, rooms[name] = append(names, name), n
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, err := rounds.Run(1, names, os.Stderr, func(_ int, name string) (rounds.Values, error) {
		return measure(ctx, *sessions, rooms[name], *length, *heap)
	})
	if err != nil {
		return err
	}
	return results.Print(os.Stdout, metrics)
}
