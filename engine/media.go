package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Track is audio or video that links of a room's transport can send. The engine
// only hands it on.
type Track interface {
	// Codec names what it is encoded with, as SDP does: "VP8".
	Codec() string
}

// MediaLink is a Link that carries media beside frames. Descriptions for it go
// over the link itself, one at a time.
type MediaLink interface {
	Link
	// Describe makes the offer by which the link is to send these streams and no
	// others. What is not among them is not sent any more from here on; what is
	// new, once Complete has the answer.
	Describe(ctx context.Context, streams []*Stream) (offer string, err error)
	// Complete takes the answer. It returns the tracks that the remote peer
	// cannot take, as it has not their codec.
	Complete(ctx context.Context, answer string) (refused []Track, err error)
	// Rollback withdraws the offer, and with it the streams that were new.
	Rollback()
}

// StreamConfig is what a stream is published with.
type StreamConfig struct {
	// Meta is JSON that the application says of the stream, at most
	// MaxStreamMeta bytes of it; nil: nothing.
	Meta []byte
	// Tracks are those of the room's transport, at most Limits.Tracks.
	Tracks []Track
}

// MaxStreamMeta is the size of StreamConfig.Meta: what every peer takes at once.
const MaxStreamMeta = 16 << 10

// Why a stream is not published.
var (
	ErrTooManyStreams = errors.New("the room has too many streams")
	ErrTooManyTracks  = errors.New("a stream has at least one track, and not as many")
	ErrStreamMeta     = errors.New("what is said of a stream is JSON of at most 16 KiB")
)

// Stream is audio and video that a seat sends into its room. Every remote peer
// that has a link with the seat's hosted peer gets it, who links later too, until
// it is closed or the seat ends.
type Stream struct {
	seat   *Seat
	meta   []byte
	tracks []Track
	once   sync.Once
}

// Tracks are those that it was published with.
func (s *Stream) Tracks() []Track { return s.tracks }

// Publish sends a stream into the room. It fails with ErrTooManyStreams,
// ErrTooManyTracks, ErrStreamMeta, or as Next does. What becomes of it at single
// peers is in Stats.Dropped, under "media".
func (a *Attachment) Publish(cfg StreamConfig) (*Stream, error) {
	r := a.seat.room
	switch most := r.node.limits.Load().Tracks; {
	case len(cfg.Tracks) == 0 || len(cfg.Tracks) > most:
		return nil, fmt.Errorf("%w: %d, where %d may be", ErrTooManyTracks, len(cfg.Tracks), most)
	case cfg.Meta != nil && (len(cfg.Meta) > MaxStreamMeta || !json.Valid(cfg.Meta)):
		return nil, ErrStreamMeta
	}
	if err := a.ended(); err != nil {
		return nil, err
	}
	s := &Stream{seat: a.seat, meta: cfg.Meta, tracks: slices.Clone(cfg.Tracks)}
	err := ErrClosed
	r.ask(func() { err = r.publishStream(s) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// MediaDropped counts a packet of the seat's tracks that did not pass, as it sends
// more than it may.
func (a *Attachment) MediaDropped() {
	a.seat.room.node.counters.drop("media: more than its sender may send")
}

// TrackDropped counts a track of the seat that is not published, as it has more than
// it may.
func (a *Attachment) TrackDropped() {
	a.seat.room.node.counters.drop("media: more tracks than its sender may have")
}

// Close ends the stream: peers see its tracks go. It is idempotent, and does not
// wait for them.
func (s *Stream) Close() {
	s.once.Do(func() {
		s.seat.room.post(func() { s.seat.room.endStreams(func(other *Stream) bool { return other == s }) })
	})
}

func (r *Room) publishStream(s *Stream) error {
	switch {
	case r.closing:
		return ErrClosed
	case r.seats[s.seat.id] != s.seat:
		return ErrLeft
	case len(r.streams) >= r.node.limits.Load().Streams:
		return ErrTooManyStreams
	}
	r.streams = append(r.streams, s)
	r.sendStreams(s.seat.hosted)
	return nil
}

// endStreams takes streams out of the room.
func (r *Room) endStreams(which func(*Stream) bool) {
	var ended []*Stream
	r.streams = slices.DeleteFunc(r.streams, func(s *Stream) bool {
		if !which(s) {
			return false
		}
		ended = append(ended, s)
		return true
	})
	for _, s := range ended {
		r.sendStreams(s.seat.hosted)
	}
}

// sendStreams has all links of a hosted peer send its streams.
func (r *Room) sendStreams(h *hosted) {
	streams := r.streamsOf(h)
	for _, p := range h.pairs {
		if p.live != nil {
			p.live.negotiate(func(n *negotiation) { n.send(streams) })
		}
	}
}

func (r *Room) streamsOf(h *hosted) []*Stream {
	var streams []*Stream
	for _, s := range r.streams {
		if s.seat.hosted == h {
			streams = append(streams, s)
		}
	}
	return streams
}
