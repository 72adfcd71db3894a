package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// helloTime is how long a client may take to say hello.
const helloTime = 10 * time.Second

// join waits for hello and takes the seat. It reports whether there is one.
func (s *session) join() bool {
	timer := time.AfterFunc(helloTime, func() {
		s.quit(fault(CodeHelloTimeout, "no hello within %v", helloTime), CloseProtocol)
	})
	m, err, ok := s.next()
	timer.Stop()
	if ok && err == nil && m.Op != OpHello {
		err = fmt.Errorf("the first message is not hello but %s", m.Op)
	}
	switch {
	case !ok:
		return false
	case err != nil:
		s.quit(fault(CodeHelloExpected, "%v", err), CloseProtocol)
		return false
	}
	refused, ok := s.admit(&m)
	if !ok {
		return false
	}
	seat, welcome, ok := s.resume(&m)
	switch {
	case ok:
	case refused != nil:
		s.quit(refused, ClosePolicy)
		return false
	default:
		if seat, welcome, ok = s.enter(&m, welcome.Reason); !ok {
			return false
		}
	}
	s.seat, s.last = seat, seat.Taken()
	welcome.Op, welcome.Peer, welcome.User, welcome.Identity = OpWelcome, seat.ID(), s.grant.User, seat.Identity().String()
	welcome.Room, welcome.Resume, welcome.Ack, welcome.Limits = s.Room.Name(), seat.Token(), seat.Taken(), s.Limits
	if s.Advised > 0 {
		welcome.Limits.Message = min(s.Advised, s.Limits.Message)
	}
	if s.Joined != nil {
		s.Joined(seat, s.grant)
	}
	if seat.Mesh() != seat.ID() {
		welcome.Mesh = seat.Mesh()
	}
	if s.ICE != nil {
		welcome.ICE = s.ICE(s.grant)
	}
	s.reply(reply{m: &welcome}) // the writer listens to the seat from then on
	if place := seat.MeshState(); place.Epoch > 0 {
		s.reply(reply{m: &Message{Op: OpMesh, Place: &place}})
	}
	return true
}

// resume takes up the session that hello names, if there is one. If not, the
// welcome says why.
func (s *session) resume(hello *Message) (*engine.Attachment, Message, bool) {
	if hello.Resume == "" {
		return nil, Message{}, false
	}
	seat, peers, err := s.Room.Resume(s.ctx, hello.Resume, hello.Ack, s.seatConfig())
	if err != nil {
		return nil, Message{Reason: notResumed(err)}, false
	}
	return seat, Message{Peers: peers, Resumed: true}, true
}

// enter takes a new seat. Where there is none, the session ends.
func (s *session) enter(hello *Message, reason string) (*engine.Attachment, Message, bool) {
	cfg := s.seatConfig()
	cfg.History = int(min(hello.History, engine.MaxHistory))
	seat, peers, err := s.Room.Join(s.ctx, cfg)
	switch {
	case errors.Is(err, engine.ErrRoomFull):
		s.counted(CodeRoomFull, err.Error(), &End{Code: CloseTryAgain, Reason: "room full", Err: err})
		return nil, Message{}, false
	case err != nil:
		s.end(seatEnd(err, s.Limits.Pending))
		return nil, Message{}, false
	}
	return seat, Message{Peers: peers, Reason: reason}, true
}

func (s *session) seatConfig() engine.SeatConfig {
	return engine.SeatConfig{
		Pending: s.Limits.Pending, Resume: s.Limits.Resume, Owner: s.Owner, User: s.grant.User, PerOwner: s.PerOwner,
		Wake: s.wake, Hears: s.hears(),
	}
}
