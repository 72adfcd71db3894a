package rtc

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
	"golang.org/x/time/rate"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

const (
	// maxBitrate is what a guest's tracks may have together, in bits a second, and
	// burstTime what they may have at once: keyframes are large.
	maxBitrate = 20_000_000
	burstTime  = time.Second
	// trackTime is how long a guest's first track waits for the others. One that is
	// muted sends nothing.
	trackTime = 500 * time.Millisecond
	// maxTracks is what a guest may publish, in one stream or in several: those of a
	// room are for all.
	maxTracks = 4
)

// Publish has the audio and video of a guest reach the seat's room, as one stream
// that ends with the connection. meta is what is said of it (engine.StreamConfig).
// Tracks that come late are a stream of the same name. It does not block. report
// is told of what was refused.
func (g *Guest) Publish(seat *engine.Attachment, meta []byte, report func(error)) {
	p := &publication{
		guest: g, seat: seat, meta: meta, report: report, name: rand.Text(), tracks: min(g.sends(), maxTracks),
		bytes: rate.NewLimiter(maxBitrate/8, int(maxBitrate/8*burstTime.Seconds())),
	}
	g.OnTrack(p.arrived)
	context.AfterFunc(g.ctx, p.end)
}

// sends is the number of tracks in the guest's description.
func (g *Guest) sends() (tracks int) {
	var parsed sdp.SessionDescription
	if err := parsed.UnmarshalString(g.pc.RemoteDescription().SDP); err != nil {
		return 0 // pion has read it
	}
	for _, m := range parsed.MediaDescriptions {
		if m.MediaName.Media != "application" && offered(m) && sends(m) {
			tracks++
		}
	}
	return tracks
}

// publication is what a guest publishes.
type publication struct {
	guest  *Guest
	seat   *engine.Attachment
	meta   []byte
	report func(error)
	name   string // of the MediaStream
	bytes  *rate.Limiter

	mu      sync.Mutex
	tracks  int // that are still to come
	taken   int // that came
	waiting []engine.Track
	streams []*engine.Stream
	ended   bool
}

// WritePLI implements Publisher.
func (p *publication) WritePLI(track *webrtc.TrackRemote) error { return p.guest.WritePLI(track) }

// Allow implements Publisher.
func (p *publication) Allow(bytes int) bool {
	if p.bytes.AllowN(time.Now(), bytes) {
		return true
	}
	p.seat.MediaDropped()
	return false
}

// arrived takes a track.
func (p *publication) arrived(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
	p.mu.Lock()
	p.taken++
	tooMany := p.taken > maxTracks
	p.mu.Unlock()
	if tooMany { // its packets wait in a buffer, which is bounded
		p.seat.TrackDropped()
		return
	}
	f, err := NewForward(p, remote, p.name)
	if err != nil {
		p.report(err)
		return
	}
	p.guest.owns(func() {
		if err := f.Run(); err != nil {
			p.report(err)
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tracks--
	p.waiting = append(p.waiting, f)
	if p.tracks <= 0 {
		p.guest.owns(p.publish)
	} else if len(p.waiting) == 1 {
		time.AfterFunc(trackTime, func() { p.guest.owns(p.publish) })
	}
}

// publish makes a stream of the tracks that wait.
func (p *publication) publish() {
	p.mu.Lock()
	tracks := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	if len(tracks) == 0 {
		return
	}
	s, err := p.seat.Publish(engine.StreamConfig{Meta: p.meta, Tracks: tracks})
	if err != nil {
		p.report(err)
		return
	}
	p.mu.Lock()
	p.streams = append(p.streams, s)
	ended := p.ended
	p.mu.Unlock()
	if ended {
		s.Close()
	}
}

// end is that of the connection.
func (p *publication) end() {
	p.mu.Lock()
	p.ended = true
	streams := p.streams
	p.mu.Unlock()
	for _, s := range streams {
		s.Close()
	}
}

// owns runs f in a goroutine that the transport waits for, unless the guest has
// ended.
func (g *Guest) owns(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.transport.wg.Go(f)
	}
}
