package genosrtc

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/handler"
	"github.com/genosrtc/caddy-genosrtc/signaling"
)

// Rooms returns the rooms that are open, by name.
func (s *Server) Rooms() []*engine.Room { return s.node.Rooms() }

// Room returns the open room of a database name, and handler.ErrNoRoom else.
func (s *Server) Room(name string) (*engine.Room, error) {
	room, ok := s.node.Room(name)
	if !ok {
		return nil, fmt.Errorf("room %q: %w", name, handler.ErrNoRoom)
	}
	return room, nil
}

// CloseRoom ends a room, its sessions with 1001, so that they cannot be resumed. One
// that was configured is opened anew at once, empty but for its graph.
func (s *Server) CloseRoom(name string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed {
		return ErrClosed
	}
	if _, err := s.Room(name); err != nil {
		return err
	}
	if _, ok := s.demanded[name]; ok {
		s.undemand(name)
		return nil
	}
	s.dismiss([]string{name})
	s.close([]string{name})
	if room, ok := find(s.config.Rooms, name); ok {
		return s.open([]Room{room})
	}
	return nil
}

// Relays tells of the relays: the embedded one first, the others by URL.
func (s *Server) Relays() []signaling.RelayStatus { return s.pool.Status() }

// Errors of AddRelay and RemoveRelay.
var (
	ErrKnownRelay = errors.New("the relay is used already")
	ErrNoRelay    = errors.New("no such relay is used")
)

// AddRelay has one more relay be used, until the next Apply, or RemoveRelay.
func (s *Server) AddRelay(url string) error {
	return s.changeRelays(url, func(all []string, url string) ([]string, error) {
		if slices.Contains(all, url) {
			return nil, ErrKnownRelay
		}
		return append(all, url), nil
	})
}

// RemoveRelay has a relay no longer be used, until the next Apply, or AddRelay. The
// embedded one cannot be removed.
func (s *Server) RemoveRelay(url string) error {
	return s.changeRelays(url, func(all []string, url string) ([]string, error) {
		i := slices.Index(all, url)
		if i < 0 {
			return nil, ErrNoRelay
		}
		return slices.Delete(all, i, i+1), nil
	})
}

func (s *Server) changeRelays(url string, change func(all []string, url string) ([]string, error)) error {
	url, err := signaling.ParseRelayURL(url)
	if err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed {
		return ErrClosed
	}
	var all []string
	for _, known := range s.config.Relays {
		parsed, err := signaling.ParseRelayURL(known)
		if err != nil {
			return err
		}
		all = append(all, parsed)
	}
	all, err = change(all, url)
	if err != nil {
		return fmt.Errorf("relay %s: %w", url, err)
	}
	if err := s.pool.SetRelays(all); err != nil {
		return fmt.Errorf("set the relays: %w", err)
	}
	s.config.Relays = all
	return nil
}

// Drain has clients go elsewhere: new sessions, streams and POSTs are refused with
// 503, those that are open end with 1012, spread evenly over a time. The rooms stay
// open, and the relay goes on. It holds for sites that are made later too, until
// Undrain.
func (s *Server) Drain(over time.Duration) {
	s.handlers.drain(&over)
	s.log.Info("draining: sessions are sent elsewhere", "over", over)
}

// Undrain ends a drain. Sessions that did not end yet stay.
func (s *Server) Undrain() {
	s.handlers.drain(nil)
	s.log.Info("no longer draining")
}

// Draining tells whether new sessions are refused because of Drain.
func (s *Server) Draining() bool { return s.handlers.isDraining() }

// Trouble tells what keeps the server from its work, in words for an operator: nil
// if nothing does.
func (s *Server) Trouble() (found []string) {
	if s.Draining() {
		found = append(found, "the server is draining")
	}
	return append(found, s.storeTrouble()...)
}

// storeTrouble tells what cannot be written to the disk.
func (s *Server) storeTrouble() (found []string) {
	if s.store != nil {
		if err := s.store.Err(); err != nil {
			found = append(found, fmt.Sprintf("sessions are not written to the disk: %v", err))
		}
	}
	for _, room := range s.node.Rooms() {
		if m := room.Memory(); m != nil {
			if err := m.Err(); err != nil {
				found = append(found, fmt.Sprintf("the graph of room %q is not written to the disk: %v", room.Name(), err))
			}
		}
	}
	return found
}
