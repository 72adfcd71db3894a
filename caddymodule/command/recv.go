package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/client"
)

func recvCommand() *cobra.Command {
	r := receiver{screen: standardError(), changed: make(chan struct{}, 1)}
	cmd := &cobra.Command{
		Use:   "recv [folder]",
		Short: "Receives a file, or all that come",
		Long: `
Receives the next file that somebody in the room sends, or with --watch all that
come, into a folder (default: the current one), and prints their paths. A file
that is there already is never written over: the new one gets a number.

It goes on by itself over lost connections and restarts of the server. Until a
file is whole and its hash is right it is called *.part. After Ctrl-C, or a
kill, the same command in the same folder goes on with it.

Who may send to the room may fill the folder: give rooms a password, or tokens.`,
		Example: `  caddy genosrtc recv
  caddy genosrtc recv ~/incoming --watch
  GENOSRTC_PASSWORD=s3cret caddy genosrtc recv --server https://example.com/genosrtc --room my-app`,
		Args: cobra.MaximumNArgs(1),
		RunE: action(r.run),
	}
	r.at.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.channel, "channel", "file", "the channel")
	f.BoolVar(&r.watch, "watch", false, "stay, and receive further files")
	return cmd
}

// receiver is a run of the command recv.
type receiver struct {
	at      place
	screen  *screen
	channel string
	watch   bool

	folder  string
	slot    slot
	kept    client.State // what is in the slot
	room    *client.Room
	changed chan struct{} // has a token when what follows changed

	mu     sync.Mutex
	busy   bool     // a transfer was accepted and has not ended
	now    *arrival // what is arriving
	ended  *arrival // what has just ended: it has the next look
	stored []string // the paths of files that are not yet printed
}

// arrival is a transfer that is arriving.
type arrival struct {
	part  *part
	bar   *progress
	done  int64
	ended bool
	err   error
}

func (r *receiver) run(ctx context.Context, args []string) (err error) {
	r.at.complete()
	r.folder = "."
	if len(args) > 0 {
		r.folder = args[0]
	}
	if r.folder, err = filepath.Abs(r.folder); err != nil {
		return err
	}
	if err := os.MkdirAll(r.folder, 0o777); err != nil {
		return err
	}
	if r.slot, err = newSlot("recv", &r.at, r.channel, r.folder); err != nil {
		r.screen.say("what arrives cannot go on after an interruption: %v", err)
	}
	o := client.Options{Notify: r.notify, Accept: r.accept}
	if was := r.slot.load(); was != nil {
		o.State = &was.Session
	}
	room, err := r.at.dial(ctx, o)
	if err != nil {
		return err
	}
	r.room = room
	var messages sync.WaitGroup
	messages.Go(r.messages)
	defer messages.Wait()
	defer room.Close()
	r.screen.say("waiting for files in room %q, as %s", r.at.room, room.Peer())
	return r.work(ctx)
}

// work shows and prints what comes until the command is done.
func (r *receiver) work(ctx context.Context) error {
	var savedAt time.Time
	for {
		if time.Since(savedAt) >= saveEvery {
			savedAt = time.Now()
			if err := r.save(); err != nil {
				r.screen.say("what arrives cannot go on after an interruption: %v", err)
				r.slot = ""
			}
		}
		if r.show() && !r.watch {
			return r.leave()
		}
		select {
		case <-r.changed:
		case <-time.After(drawEvery):
		case <-r.room.Done():
			return r.at.explain(r.room.Err())
		case <-ctx.Done():
			return r.interrupted()
		}
	}
}

// show draws the progress and prints what is stored. It reports whether anything
// is.
func (r *receiver) show() bool {
	r.mu.Lock()
	stored := r.stored
	r.stored = nil
	now, ended := r.now, r.ended
	r.ended = nil
	at := time.Now()
	for _, a := range []*arrival{now, ended} {
		if a != nil {
			a.bar.note(a.done, at)
			a.bar.ended = a.ended && a.err == nil
		}
	}
	r.mu.Unlock()
	if ended != nil {
		r.screen.finish(ended.bar, at)
		if ended.err != nil && !errors.Is(ended.err, client.ErrClosed) {
			r.screen.say("%s: %v%s", ended.part.name, ended.err, ended.part.kept())
		}
	}
	if now != nil {
		r.screen.draw(now.bar, at)
	}
	for _, path := range stored {
		fmt.Println(path)
	}
	return len(stored) > 0
}

// interrupted leaves the session, or keeps it if something was arriving.
func (r *receiver) interrupted() error {
	r.mu.Lock()
	now := r.now
	r.mu.Unlock()
	if now == nil {
		err := r.leave()
		if err == nil && !r.watch {
			err = errInterrupted
		}
		return err
	}
	r.room.Close() // waits for what is being stored
	r.show()
	err := fmt.Errorf("%w at %s: the same command in the same folder goes on from there", errInterrupted, bytesText(now.done))
	if saved := r.save(); saved != nil {
		err = fmt.Errorf("%w; %w", err, saved)
	}
	return err
}

func (r *receiver) leave() error { return errors.Join(leave(r.room), r.slot.clear()) }

// save keeps the session, if it is not the one that is kept.
func (r *receiver) save() error {
	state, err := r.room.State()
	if err != nil {
		return err
	}
	if state.Resume == r.kept.Resume && state.Received == r.kept.Received {
		return nil
	}
	r.kept = state
	return r.slot.save(saved{Session: state})
}

func (r *receiver) notify(e client.Event) { r.screen.connection(e) }

// change changes what work looks at, and wakes it.
func (r *receiver) change(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// accept takes one transfer at a time.
func (r *receiver) accept(in client.Incoming) (client.Sink, error) {
	if in.Channel != r.channel {
		return client.Sink{}, fmt.Errorf("nothing is received on channel %q here", in.Channel)
	}
	r.mu.Lock()
	busy := r.busy || !r.watch && len(r.stored) > 0
	r.busy = true
	r.mu.Unlock()
	if busy {
		return client.Sink{}, errors.New("busy with another file")
	}
	part, have, err := openPart(r.folder, in)
	if err != nil {
		r.change(func() { r.busy = false })
		r.screen.say("%v", err)
		return client.Sink{}, errors.New("it cannot be stored")
	}
	a := &arrival{part: part, done: have, bar: newProgress(part.name, in.Size, sample{time.Now(), have})}
	r.change(func() { r.now = a })
	return client.Sink{
		Store: part, Offset: have,
		Progress: func(stored int64) {
			r.mu.Lock()
			a.done = stored
			r.mu.Unlock()
		},
		Done: func(err error) {
			path, err := part.end(err)
			r.change(func() {
				r.busy, r.now, r.ended, a.ended, a.err = false, nil, a, true, err
				if err == nil {
					r.stored = append(r.stored, path)
				}
			})
		},
	}, nil
}

// messages takes files that came as messages, as those of browsers do. All
// others are not for us.
func (r *receiver) messages() {
	for {
		m, err := r.room.Receive(context.Background())
		if err != nil {
			return
		}
		content, ok := m.Data.([]byte)
		if text, is := m.Data.(string); is && metaOf(m.Meta).Name != "" {
			content, ok = []byte(text), true
		}
		if !ok || m.Channel != r.channel {
			continue
		}
		path, err := storeWhole(r.folder, metaOf(m.Meta).Name, content)
		if err != nil {
			r.screen.say("%v", err)
			continue
		}
		r.change(func() { r.stored = append(r.stored, path) })
	}
}
