package command

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// storage is a room in the files of a server that is stopped.
type storage struct {
	dir, room string
	locks     *store.Store // keeps servers out
	graph     *store.Graph
}

func (s *storage) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.dir, "storage", "", "the server's folder, as its global option storage (default that of the user who runs this)")
	f.StringVarP(&s.room, "room", "r", "", "the database name that the app passes to gdb(name) (default demo)")
}

// open opens the room's graph; with mayMake it makes one if there is none.
func (s *storage) open(mayMake bool) error {
	s.dir = cmp.Or(s.dir, filepath.Join(caddy.AppDataDir(), "genosrtc"))
	s.room = cmp.Or(s.room, os.Getenv("GENOSRTC_ROOM"), "demo")
	file := engine.GraphFile(s.dir, s.room)
	if _, err := os.Stat(file); !mayMake && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no graph of room %q, but of %s: check --storage and --room", s.dir, s.room, s.others())
	}
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	if s.locks, err = store.Open(filepath.Join(s.dir, "genosrtc.db"), quiet); err == nil {
		if s.graph, err = store.OpenGraph(file, quiet); err != nil {
			s.locks.Close()
		}
	}
	switch {
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("a server is running on %s: stop it, run this again, and start it afterwards", s.dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("run this as the user that the server runs as, as in `sudo -u caddy caddy genosrtc …`: %w", err)
	}
	return err
}

// others are the rooms that have a graph.
func (s *storage) others() string {
	var names []string
	entries, _ := os.ReadDir(filepath.Join(s.dir, "rooms"))
	for _, e := range entries {
		name, err := url.PathUnescape(e.Name())
		if err != nil {
			continue
		}
		if _, err := os.Stat(engine.GraphFile(s.dir, name)); err == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "no other"
	}
	return strings.Join(names, ", ")
}

// close closes what open opened. What was staged is on the disk then, or there is an
// error.
func (s *storage) close() error {
	return errors.Join(s.graph.Close(), s.locks.Close())
}

// counter says how far a long work is, every 5 s.
type counter struct {
	screen *screen
	what   string
	n      int
	said   time.Time
}

func (c *counter) add() {
	c.n++
	if now := time.Now(); now.Sub(c.said) >= plainEvery {
		if !c.said.IsZero() {
			c.screen.say("%d %s", c.n, c.what)
		}
		c.said = now
	}
}
