package engine

import "time"

const (
	// slowAgain is when a peer is tried again whose link has too much to send.
	slowAgain = 100 * time.Millisecond
	// patience is how long a message of an answer may be on its way.
	patience = time.Minute
)

// stream sends messages to a peer, of which two are under way at most.
type stream struct {
	memory *Memory
	to     *asker
	under  []chan error
}

// put sends a message. It waits while there are too many under way, and reports
// false when the link has ended.
func (s *stream) put(frames [][]byte) bool {
	if len(s.under) == 2 && !s.next() {
		return false
	}
	done, all := make(chan error, 1), len(frames)
	for {
		err := s.to.link.out.put(ChannelGraph, &outgoing{frames: frames, report: func(passed int, err error) {
			if err != nil || passed == all {
				select {
				case done <- err:
				default: // it is known already
				}
			}
		}})
		switch err {
		case nil:
			s.under = append(s.under, done)
			return true
		case ErrPeerSlow:
			if !s.memory.pause(slowAgain) {
				return false
			}
		default:
			return false
		}
	}
}

// putAll sends messages and waits until they have arrived.
func (s *stream) putAll(messages [][][]byte) bool {
	for _, frames := range messages {
		if !s.put(frames) {
			return false
		}
	}
	return s.flush()
}

// next waits until the first message under way has arrived. It reports false if that
// took too long: others wait to be answered.
func (s *stream) next() bool {
	late := make(chan struct{})
	stop := s.memory.room.node.clock.AfterFunc(patience, func() { close(late) })
	defer stop()
	var err error
	select {
	case err = <-s.under[0]:
	case <-late:
		s.memory.room.node.counters.drop("graph: a peer takes its answer too slowly")
		err = ErrPeerSlow
	case <-s.memory.room.stopping:
		err = ErrClosed
	}
	s.under = s.under[1:]
	return err == nil
}

// flush waits until all have.
func (s *stream) flush() bool {
	for len(s.under) > 0 {
		if !s.next() {
			return false
		}
	}
	return true
}

// pause waits, and reports false when the room ends.
func (m *Memory) pause(d time.Duration) bool {
	passed := make(chan struct{})
	stop := m.room.node.clock.AfterFunc(d, func() { close(passed) })
	select {
	case <-passed:
		return true
	case <-m.room.stopping:
		stop()
		return false
	}
}
