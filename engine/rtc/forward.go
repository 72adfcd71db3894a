package rtc

import (
	"errors"
	"fmt"
	"io"
	"path"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// keyframeEvery is the least time between two requests for a keyframe: with many
// viewers that lose packets, their publisher would send nothing else.
const keyframeEvery = time.Second

// Publisher is whose tracks are passed on.
type Publisher interface {
	// WritePLI asks for a keyframe of a track.
	WritePLI(*webrtc.TrackRemote) error
	// Allow tells whether a packet of so many bytes may pass. It counts those that
	// may not. Tracks may call it at once.
	Allow(bytes int) bool
}

// Forward passes a track on, from the connection that receives it to any number
// that send it, packet by packet as it comes. It implements engine.Track.
type Forward struct {
	publisher Publisher
	remote    *webrtc.TrackRemote
	local     *webrtc.TrackLocalStaticRTP

	keyframe  atomic.Bool // is wanted
	keyframes *rate.Limiter
}

var _ engine.Track = (*Forward)(nil)

// NewForward makes a forward of a track, as PeerConnection.OnTrack has it. stream
// is the id of the MediaStream at the viewers, the same for tracks that belong
// together.
func NewForward(publisher Publisher, remote *webrtc.TrackRemote, stream string) (*Forward, error) {
	local, err := webrtc.NewTrackLocalStaticRTP(remote.Codec().RTPCodecCapability, remote.Kind().String()+"-"+remote.ID(), stream)
	if err != nil {
		return nil, fmt.Errorf("forward a track: %w", err)
	}
	return &Forward{publisher: publisher, remote: remote, local: local, keyframes: rate.NewLimiter(rate.Every(keyframeEvery), 1)}, nil
}

// Codec implements engine.Track.
func (f *Forward) Codec() string { return path.Base(f.local.Codec().MimeType) }

// WantKeyframe has the publisher asked for one, at most once a second. What comes
// between is asked for then.
func (f *Forward) WantKeyframe() { f.keyframe.Store(true) }

// Run forwards until the track ends, which is the end of its connection or of its
// media section, and then returns nil.
func (f *Forward) Run() error {
	buf := make([]byte, 1<<16)
	var p rtp.Packet
	for {
		n, _, err := f.remote.Read(buf)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
			return nil
		case err != nil:
			return fmt.Errorf("read a track: %w", err)
		}
		if !f.publisher.Allow(n) {
			f.WantKeyframe() // viewers cannot go on without
			continue
		}
		if err := p.Unmarshal(buf[:n]); err != nil {
			return fmt.Errorf("read a packet: %w", err) // pion has read it before
		}
		// Their numbers mean something on the publisher's connection only.
		p.Extension, p.Extensions = false, nil
		// A viewer's connection that ended fails, and is taken out elsewhere.
		_ = f.local.WriteRTP(&p)
		f.askKeyframe()
	}
}

func (f *Forward) askKeyframe() {
	if f.remote.Kind() != webrtc.RTPCodecTypeVideo || !f.keyframe.Load() || !f.keyframes.Allow() {
		return
	}
	f.keyframe.Store(false)
	_ = f.publisher.WritePLI(f.remote) // one that is closing reads no more either
}
