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

// Forward passes a track on, from the connection that receives it to any number
// that send it, packet by packet as it comes. It implements engine.Track.
type Forward struct {
	remote    *webrtc.TrackRemote
	local     *webrtc.TrackLocalStaticRTP
	publisher Publisher
	bytes     *rate.Limiter // that may come, of all the publisher's tracks

	keyframe  atomic.Bool // is wanted
	keyframes *rate.Limiter
	packets   atomic.Uint64
	dropped   atomic.Uint64
}

var _ engine.Track = (*Forward)(nil)

// Publisher is whose tracks are passed on.
type Publisher interface {
	// WritePLI asks for a keyframe of a track.
	WritePLI(*webrtc.TrackRemote) error
}

// NewForward makes a forward of a track, as PeerConnection.OnTrack has it. stream
// is the id of the MediaStream at the viewers, the same for tracks that belong
// together. Packets beyond what bytes allows are dropped; nil: any number.
func NewForward(publisher Publisher, remote *webrtc.TrackRemote, stream string, bytes *rate.Limiter) (*Forward, error) {
	local, err := webrtc.NewTrackLocalStaticRTP(remote.Codec().RTPCodecCapability, remote.Kind().String()+"-"+remote.ID(), stream)
	if err != nil {
		return nil, fmt.Errorf("forward a track: %w", err)
	}
	return &Forward{
		remote: remote, local: local, publisher: publisher, bytes: bytes,
		keyframes: rate.NewLimiter(rate.Every(keyframeEvery), 1),
	}, nil
}

// Codec implements engine.Track.
func (f *Forward) Codec() string { return path.Base(f.local.Codec().MimeType) }

// WantKeyframe has the publisher asked for one, at most once a second. What comes
// between is asked for then.
func (f *Forward) WantKeyframe() { f.keyframe.Store(true) }

// Stats are the packets that came, and those of them that were dropped for
// being too many.
func (f *Forward) Stats() (packets, dropped uint64) { return f.packets.Load(), f.dropped.Load() }

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
		f.packets.Add(1)
		if f.bytes != nil && !f.bytes.AllowN(time.Now(), n) {
			f.dropped.Add(1)
			f.WantKeyframe() // viewers cannot go on without
			continue
		}
		if err := p.Unmarshal(buf[:n]); err != nil {
			f.dropped.Add(1)
			continue
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
