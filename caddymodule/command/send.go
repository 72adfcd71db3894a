package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/client"
)

const (
	drawEvery = 200 * time.Millisecond
	saveEvery = time.Second
	// askEvery is how long send --wait waits for somebody to join before it asks
	// those again that are there.
	askEvery = 5 * time.Second
)

func sendCommand() *cobra.Command {
	s := sender{screen: standardError(), joined: make(chan struct{}, 1)}
	cmd := &cobra.Command{
		Use:   "send <file|->",
		Short: "Sends a file to all in a room, or to some",
		Long: `
Sends a file of any size, or with - what comes on standard input, to all that
are in the room, or to those named by --to: clients of the server (recv, the
JavaScript client, package client) and, up to about 1.6 MB, browsers.

It goes on by itself over lost connections and restarts of the server. After
Ctrl-C, or a kill, the same command goes on where it was: for two minutes (the
server's limits.resume) in the same session, later wherever recv has kept its
part.

Exit code 0 says that the file is, whole and with the right hash, with those
named by --to, or without --to with one at least.`,
		Example: `  caddy genosrtc recv                  # on one machine
  caddy genosrtc send big.iso          # on the other
  caddy genosrtc send --wait big.iso   # waits until somebody takes it
  tar c src | caddy genosrtc send - --name src.tar
  caddy genosrtc send notes.txt --server https://example.com/genosrtc --room my-app --to 0k3VfP2nq8ZbYxRtLwAe`,
		Args: cobra.ExactArgs(1),
		RunE: action(s.run),
	}
	s.at.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.channel, "channel", "file", "the channel")
	f.StringSliceVar(&s.to, "to", nil, "the peer ids of those who get it, with commas between them (default all)")
	f.StringVar(&s.name, "name", "", "the name that recipients are told (default the file's)")
	f.StringVar(&s.kind, "as", client.KindBytes, "what browsers and pages get: bytes, text or json")
	f.BoolVar(&s.wait, "wait", false, "wait for a recipient where there is none")
	return cmd
}

// sender is a run of the command send.
type sender struct {
	at      place
	screen  *screen
	channel string
	to      []string
	name    string
	kind    string
	wait    bool

	file     *os.File
	size     int64
	modified time.Time
	slot     slot
	room     *client.Room
	kept     bool          // the transfer was interrupted, and can go on
	joined   chan struct{} // has a token when a peer joined since it was taken

	mu   sync.Mutex
	lost bool            // the session of before had ended
	has  map[string]bool // who has all of it
}

func (s *sender) run(ctx context.Context, args []string) error {
	s.at.complete()
	if !slices.Contains([]string{client.KindBytes, client.KindText, client.KindJSON}, s.kind) {
		return fmt.Errorf("--as %s: there are bytes, text and json", s.kind)
	}
	if err := s.open(ctx, args[0]); err != nil {
		return err
	}
	defer s.file.Close()
	was := s.slot.load()
	if was != nil && (was.Size != s.size || !was.Modified.Equal(s.modified)) {
		was = nil // another file by now
	}
	o := client.Options{Notify: s.notify}
	if was != nil {
		o.State = &was.Session
	}
	room, err := s.at.dial(ctx, o)
	if err != nil {
		return err
	}
	s.room = room
	if s.isLost() {
		was = nil
	}
	var messages sync.WaitGroup
	messages.Go(func() { drain(room) })
	defer messages.Wait()
	defer room.Close()
	err = s.transfer(ctx, was)
	if s.kept {
		return err // the session stays, for the same command to go on
	}
	if left := leave(room); err == nil {
		err = left
	}
	return errors.Join(err, s.slot.clear())
}

// open finds out what is to be sent.
func (s *sender) open(ctx context.Context, path string) (err error) {
	if path == "-" {
		s.name = cmp.Or(s.name, "stdin")
		s.file, err = spool(ctx, os.Stdin)
	} else {
		s.name = cmp.Or(s.name, filepath.Base(path))
		s.file, err = os.Open(path)
	}
	if err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file: send - takes what a program writes, as in `tar c %s | caddy genosrtc send -`", path, path)
	}
	if err != nil {
		s.file.Close()
		return err
	}
	s.size, s.modified = info.Size(), info.ModTime()
	if path == "-" {
		return nil // whoever runs it again sends something else
	}
	whole, err := filepath.Abs(path)
	if err == nil {
		s.slot, err = newSlot("send", &s.at, s.channel, strings.Join(s.to, ","), s.name, s.kind, whole)
	}
	if err != nil {
		s.screen.say("this transfer cannot go on after an interruption: %v", err)
	}
	return nil
}

// spool keeps what comes in a file without a name: a transfer must know its
// size, and may have to go back.
func spool(ctx context.Context, r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "genosrtc-send-*")
	if err != nil {
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	os.Remove(f.Name()) // Windows refuses, and the file then stays in its temporary folder
	copied := make(chan error, 1)
	go func() { // ends with its input, or the process
		_, err := io.Copy(f, r)
		copied <- err
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		return nil, errInterrupted
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	return f, nil
}

func (s *sender) notify(e client.Event) {
	switch e := e.(type) {
	case client.PeerEvent:
		if e.Event == "join" {
			select {
			case s.joined <- struct{}{}:
			default:
			}
		}
	case client.Progress:
		if e.Transfer != 0 && e.Fraction == 1 {
			s.mu.Lock()
			s.has[e.Peer] = true
			s.mu.Unlock()
		}
	case client.Lost:
		s.mu.Lock()
		s.lost = true
		s.mu.Unlock()
		s.screen.connection(e)
	default:
		s.screen.connection(e)
	}
}

func (s *sender) isLost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// transfer sends until somebody has it: with --wait, and where a session was
// lost on the way, in as many attempts as it takes.
func (s *sender) transfer(ctx context.Context, was *saved) error {
	wait := s.wait
	told := "nothing" // of those who do not have it
	for {
		select {
		case <-s.joined:
		default:
		}
		results, err := s.attempt(ctx, was)
		was = nil
		missed := missedBy(results)
		news := missed != told
		told = missed
		if news && missed != "" {
			s.screen.say("%s", missed)
		}
		cancelled, _ := errors.AsType[*client.CancelledError](err)
		switch {
		case err == nil:
			return s.done(results)
		case errors.Is(err, client.ErrLost):
			wait = true // the others may be about to come back as well
			continue
		case cancelled == nil:
			return s.at.explain(err)
		case cancelled.Reason != "nobody":
			return fmt.Errorf("%s: %w", s.name, err)
		case !wait && len(results) > 0:
			return fmt.Errorf("%s was not sent: nobody took it", s.name)
		case !wait:
			return fmt.Errorf("nobody is in room %q to take %s: start `caddy genosrtc recv` there, or wait for somebody with --wait", s.at.room, s.name)
		case news:
			s.screen.say("waiting for somebody who takes %s", s.name)
		}
		select {
		case <-s.joined:
		case <-time.After(askEvery):
		case <-s.room.Done():
			return s.at.explain(s.room.Err())
		case <-ctx.Done():
			return errInterrupted
		}
	}
}

// attempt makes one transfer, or goes on with one.
func (s *sender) attempt(ctx context.Context, was *saved) ([]client.Result, error) {
	s.mu.Lock()
	s.has = map[string]bool{}
	s.mu.Unlock()
	keep := saved{Transfer: uint64(time.Now().UnixMicro()), Size: s.size, Modified: s.modified}
	if was != nil {
		keep.Transfer, keep.Acked = was.Transfer, was.Acked
	}
	meta := map[string]any{
		"id": strconv.FormatUint(keep.Transfer, 10), "name": s.name, "size": s.size, "modified": s.modified.UnixMilli(),
	}
	if kind := mime.TypeByExtension(filepath.Ext(s.name)); kind != "" {
		meta["type"] = kind
	}
	options := []client.SendOption{client.Meta(meta)}
	if len(s.to) > 0 {
		options = append(options, client.To(s.to...))
	}
	var first atomic.Pointer[sample] // where the recipients began
	up, err := s.room.SendReader(s.channel, s.file, s.size, client.Outgoing{
		ID: keep.Transfer, Offset: keep.Acked, Kind: s.kind, Options: options,
		Progress: func(acked int64) { first.CompareAndSwap(nil, &sample{time.Now(), acked}) },
	})
	if err != nil {
		return nil, err
	}
	var bar *progress
	show := func(draw func(*progress, time.Time)) {
		if bar == nil && first.Load() != nil {
			bar = newProgress(s.name, s.size, *first.Load())
		}
		if bar != nil {
			now := time.Now()
			bar.note(up.Acked(), now)
			draw(bar, now)
		}
	}
	var savedAt time.Time
	for {
		if time.Since(savedAt) >= saveEvery {
			savedAt = time.Now()
			if err := s.save(keep, up); err != nil {
				s.screen.say("this transfer cannot go on after an interruption: %v", err)
				s.slot = ""
			}
		}
		show(s.screen.draw)
		within, cancel := context.WithTimeout(ctx, drawEvery)
		results, err := up.Wait(within)
		cancel()
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			continue
		case errors.Is(err, context.Canceled):
			err = s.interrupted(keep, up)
		case err == nil && bar == nil: // it had no bytes, or they came before
			bar = newProgress(s.name, s.size, sample{time.Now(), s.size})
		}
		if bar != nil {
			bar.ended = err == nil
		}
		show(s.screen.finish)
		return results, err
	}
}

// interrupted keeps what the same command needs to go on.
func (s *sender) interrupted(keep saved, up *client.Upload) error {
	at := bytesText(up.Acked())
	if s.slot == "" {
		up.Cancel("interrupted")
		return fmt.Errorf("%w at %s", errInterrupted, at)
	}
	s.kept = true
	s.room.Close()
	if err := s.save(keep, up); err != nil {
		return fmt.Errorf("%w at %s: %w", errInterrupted, at, err)
	}
	return fmt.Errorf("%w at %s: the same command goes on from there", errInterrupted, at)
}

// save keeps how to go on.
func (s *sender) save(keep saved, up *client.Upload) (err error) {
	keep.Acked = up.Acked()
	if keep.Session, err = s.room.State(); err != nil {
		return err
	}
	return s.slot.save(keep)
}

// done says who has it.
func (s *sender) done(results []client.Result) error {
	s.mu.Lock()
	has := len(s.has)
	s.mu.Unlock()
	switch has {
	case 0: // they told a process before this one
		s.screen.say("%s has arrived", s.name)
	case 1:
		s.screen.say("%s is with 1 peer", s.name)
	default:
		s.screen.say("%s is with %d peers", s.name, has)
	}
	if len(s.to) > 0 && len(results) > 0 {
		return &exitError{exitMissed, fmt.Errorf("%d of %d recipients do not have %s", len(results), len(s.to), s.name)}
	}
	return nil
}

// missedBy says which recipients do not have it, and why.
func missedBy(results []client.Result) string {
	var lines []string
	for _, r := range results {
		lines = append(lines, fmt.Sprintf("%s does not have it: %s", r.Peer, cmp.Or(r.Message, r.Error)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}
