package genosrtc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// ErrClosed is what a closed server says.
var ErrClosed = errors.New("the server is closed")

// Check tells whether Apply would take the configuration: whether it is valid
// and changes nothing that cannot change while the server runs, which are UDP,
// Interfaces, PublicIPs, STUN, Storage, RelayOpen, whether there is TURN, and its ports.
func (s *Server) Check(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.config.checkFixed(cfg.withDefaults())
}

// Apply changes a running server. Rooms that are no longer named are closed and
// their sessions end with 1001 and cannot be resumed; a room whose password changes is closed and
// opened anew; everything else goes on undisturbed. An error means that nothing
// was changed. The Logger stays.
func (s *Server) Apply(cfg Config) error {
	if err := s.Check(cfg); err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.apply(cfg.withDefaults())
}

// apply needs changing, and a configuration that was checked.
func (s *Server) apply(cfg Config) error {
	var fresh, anew, stay []Room
	var gone []string
	for _, room := range cfg.Rooms {
		old, ok := find(s.config.Rooms, room.Name)
		if _, open := s.node.Room(room.Name); !open {
			ok = false // the last time it could not be opened
		}
		_, onDemand := s.demanded[room.Name]
		switch {
		case onDemand && room.Password == "":
			stay = append(stay, room)
		case onDemand:
			anew = append(anew, room)
			gone = append(gone, room.Name)
		case !ok:
			fresh = append(fresh, room)
		case old.Password != room.Password:
			anew = append(anew, room)
			gone = append(gone, room.Name)
		default:
			stay = append(stay, room)
		}
	}
	for _, room := range s.config.Rooms {
		if _, ok := find(cfg.Rooms, room.Name); !ok {
			gone = append(gone, room.Name)
		}
	}
	for name := range s.demanded {
		if _, ok := find(cfg.Rooms, name); !ok && !cfg.onDemand(name) {
			gone = append(gone, name)
		}
	}

	// What can fail comes first, and only adds.
	if err := s.open(fresh); err != nil {
		return err
	}
	remembering, err := s.remember(stay)
	if err == nil {
		if err = s.pool.SetRelays(cfg.Relays); err != nil {
			err = fmt.Errorf("set the relays: %w", err)
		}
	}
	if err != nil {
		s.close(names(fresh))
		s.forget(remembering)
		return err
	}
	for name := range s.demanded {
		if _, ok := find(cfg.Rooms, name); ok || slices.Contains(gone, name) {
			delete(s.demanded, name)
		}
	}
	s.relay.SetRooms(s.carried(cfg))
	s.node.SetLimits(cfg.Limits)
	if s.turn != nil {
		s.turn.Configure(cfg.TURN.Secret, cfg.TURN.Limits)
	}
	for _, room := range stay {
		if r, ok := s.node.Room(room.Name); ok {
			r.SetIdentity(room.Identity)
			r.SetRedeliver(room.Redeliver)
			r.SetDurable(room.Durable)
			if err := r.SetRules(room.Rules); err != nil { // was checked before
				s.log.Error("the room's rules are not in effect", "room", room.Name, "error", err)
			}
			r.SetSeats(room.Seats)
			r.SetCells(room.Cells, room.CellSize)
			r.SetAnonymousWrite(room.AnonymousWrite)
			if !room.Memory {
				s.forget([]*engine.Room{r})
			}
		}
	}
	s.dismiss(gone)
	s.close(gone)
	cfg.Logger = s.log
	s.config = cfg
	return s.open(anew)
}

// open opens rooms, all or none.
func (s *Server) open(rooms []Room) error {
	for i, room := range rooms {
		if _, err := s.node.Open(room); err != nil {
			s.close(names(rooms[:i]))
			return err
		}
		s.log.Debug("room opened", "room", room.Name)
		s.events.emit(Event{Name: RoomOpened, Room: room.Name})
	}
	return nil
}

// remember has open rooms keep their graphs that are to, and returns those that did
// not before.
func (s *Server) remember(rooms []Room) (fresh []*engine.Room, err error) {
	for _, room := range rooms {
		r, ok := s.node.Room(room.Name)
		if !ok || !room.Memory || r.Memory() != nil {
			continue
		}
		if err := r.Remember(room.Password); err != nil {
			return fresh, err
		}
		fresh = append(fresh, r)
	}
	return fresh, nil
}

// forget has rooms keep their graphs no longer. What is on the disk stays there.
func (s *Server) forget(rooms []*engine.Room) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	for _, r := range rooms {
		if err := r.Forget(ctx); err != nil {
			s.log.Warn("a room's memory was not closed well", "room", r.Name(), "error", err)
		}
	}
}

// dismiss has nobody come back to rooms that are to be closed.
func (s *Server) dismiss(rooms []string) {
	for _, name := range rooms {
		if r, ok := s.node.Room(name); ok {
			r.Dismiss()
		}
	}
}

// close closes rooms, all at once. One that does not end in time is left to
// end by itself.
func (s *Server) close(rooms []string) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, name := range rooms {
		r, ok := s.node.Room(name)
		if !ok {
			continue
		}
		wg.Go(func() {
			if err := r.Close(ctx); err != nil {
				s.log.Warn("room took too long to close", "room", name, "error", err)
			}
			s.log.Debug("room closed", "room", name)
			s.events.emit(Event{Name: RoomClosed, Room: name})
		})
	}
	wg.Wait()
}

func find(rooms []Room, name string) (Room, bool) {
	i := slices.IndexFunc(rooms, func(r Room) bool { return r.Name == name })
	if i < 0 {
		return Room{}, false
	}
	return rooms[i], true
}

func names(rooms []Room) []string {
	var all []string
	for _, r := range rooms {
		all = append(all, r.Name)
	}
	return all
}
