package genosrtc

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
)

const (
	// DefaultMaxOnDemand is Config.MaxOnDemand unless configured otherwise.
	DefaultMaxOnDemand = 1000

	// unusedTime is how long a room that was opened on demand stays open without
	// users: peers that have a link, readers of events, and sessions, also those that
	// may be resumed.
	unusedTime  = 2 * time.Minute
	unusedEvery = 15 * time.Second
	// maxDemandedName bounds the names of such rooms, which strangers make up: in
	// a file name a byte may take three.
	maxDemandedName = 64
)

// demanded are the rooms that are open because somebody asked for them, with the
// time since when they have had no users, as far as that was noticed. They are
// guarded by Server.changing.
type demanded map[string]time.Time

func validatePatterns(patterns []string) error {
	var errs []error
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			errs = append(errs, fmt.Errorf("rooms %q: not a pattern", p))
		}
	}
	return errors.Join(errs...)
}

// onDemand tells whether a room may be opened because somebody asks for it: not
// one that is configured, with its password, and could not be opened.
func (c *Config) onDemand(name string) bool {
	if _, named := find(c.Rooms, name); named {
		return false
	}
	return name != "" && len(name) <= maxDemandedName && utf8.ValidString(name) &&
		slices.ContainsFunc(c.OnDemand, func(pattern string) bool {
			ok, err := path.Match(pattern, name)
			return ok && err == nil
		})
}

// demand returns a room, which it opens if it may. With too many open, that one
// is closed which has been without users for longest; if all have users, it fails
// with handler.ErrTooManyRooms.
func (s *Server) demand(name string) (*engine.Room, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if room, ok := s.node.Room(name); ok {
		return room, nil
	}
	switch {
	case s.closed:
		return nil, engine.ErrClosed
	case !s.config.onDemand(name):
		return nil, handler.ErrNoRoom
	}
	if len(s.demanded) >= s.config.MaxOnDemand {
		s.noteUnused(time.Now())
		oldest := ""
		for other, since := range s.demanded {
			if !since.IsZero() && (oldest == "" || since.Before(s.demanded[oldest])) {
				oldest = other
			}
		}
		if oldest == "" {
			return nil, handler.ErrTooManyRooms
		}
		s.undemand(oldest)
	}
	if err := s.open([]Room{{Name: name}}); err != nil {
		return nil, err
	}
	s.demanded[name] = time.Time{}
	s.relay.SetRooms(s.carried(s.config))
	room, _ := s.node.Room(name)
	return room, nil
}

// carried are the rooms whose topics the relay carries.
func (s *Server) carried(cfg Config) []string {
	all := names(cfg.Rooms)
	for name := range s.demanded {
		all = append(all, name)
	}
	return all
}

// noteUnused notes since when rooms have had no users.
func (s *Server) noteUnused(now time.Time) {
	for name, since := range s.demanded {
		switch room, ok := s.node.Room(name); {
		case !ok || room.Used():
			s.demanded[name] = time.Time{}
		case since.IsZero():
			s.demanded[name] = now
		}
	}
}

// closeUnused closes the rooms that nobody has used for unusedTime.
func (s *Server) closeUnused(now time.Time) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed {
		return
	}
	s.noteUnused(now)
	var gone []string
	for name, since := range s.demanded {
		if !since.IsZero() && now.Sub(since) >= unusedTime {
			gone = append(gone, name)
		}
	}
	s.undemand(gone...)
}

// undemand closes rooms for good, with what they kept on the disk.
func (s *Server) undemand(gone ...string) {
	if len(gone) == 0 {
		return
	}
	s.dismiss(gone)
	s.close(gone)
	for _, name := range gone {
		delete(s.demanded, name)
	}
	s.relay.SetRooms(s.carried(s.config))
}

// reopen opens the rooms on demand that an earlier process left, so that their
// sessions can be resumed, and what nobody resumes is removed.
func (s *Server) reopen() {
	for _, name := range s.node.Kept() {
		if _, open := s.node.Room(name); !open && s.config.onDemand(name) {
			if _, err := s.demand(name); err != nil {
				s.log.Warn("a room of before was not opened", "room", name, "error", err)
			}
		}
	}
}

// watchUnused closes unused rooms until ctx ends.
func (s *Server) watchUnused(ctx context.Context) {
	ticker := time.NewTicker(unusedEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.closeUnused(now)
		case <-ctx.Done():
			return
		}
	}
}

// watcher runs watchUnused.
type watcher struct {
	running sync.WaitGroup
	stop    context.CancelFunc
}

func (w *watcher) start(watch func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	w.running.Go(func() { watch(ctx) })
}

func (w *watcher) close() {
	if w.stop != nil {
		w.stop()
		w.running.Wait()
	}
}
