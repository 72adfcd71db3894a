package rtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/pion/datachannel"
	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// Guest is the WebRTC connection of a client that made an offer over HTTP (RFC
// 9725): it is answered on the shared UDP port, may have a data channel, and may
// send audio and video.
type Guest struct {
	transport *Transport
	pc        *webrtc.PeerConnection
	label     string
	data      bool          // the offer has data channels
	connected chan struct{} // closed once media and data can pass
	channel   chan *Channel // has room for the one there is
	ctx       context.Context
	stop      context.CancelCauseFunc
	// negotiating has room for the one that exchanges descriptions.
	negotiating chan struct{}

	mu         sync.Mutex
	up         bool // connected is closed
	taken      bool // channel got it
	channels   int  // that the client has opened
	ended      bool
	candidates int // that came from the client, in this ICE session
	ufrag, pwd string
	onTrack    func(*webrtc.TrackRemote, *webrtc.RTPReceiver)
	early      []track // came before anybody asked
	tracks     int     // that came
}

type track struct {
	remote   *webrtc.TrackRemote
	receiver *webrtc.RTPReceiver
}

// What an offer can be refused for.
var (
	// ErrDescription: it is no session description (RFC 8866).
	ErrDescription = errors.New("the session description cannot be read")
	// ErrNotNegotiable: it is one, but cannot be answered.
	ErrNotNegotiable = errors.New("the offer cannot be answered")
)

const (
	// maxSections bounds what one offer can make us hold.
	maxSections = 16
	// maxCandidates bounds the addresses of a client, since each is probed from here.
	maxCandidates = 64
)

var errTooManyTracks = fmt.Errorf("more than %d tracks", maxSections)

// Guest answers the offer of a client. Of its data channels the one with the label
// is taken, others are closed. The caller closes the guest; on error there is none,
// and that wraps ErrDescription or ErrNotNegotiable where the offer is at fault.
func (t *Transport) Guest(ctx context.Context, offer, label string) (g *Guest, answer string, err error) {
	data, err := checkOffer(offer)
	if err != nil {
		return nil, "", err
	}
	if g, err = t.newGuest(label, data); err != nil {
		return nil, "", fmt.Errorf("answer an offer: %w", err)
	}
	offer = tidy(offer)
	if answer, err = g.answer(ctx, offer); err != nil {
		_ = g.Close()
		return nil, "", err
	}
	g.agree(attribute(offer, "ice-ufrag"), attribute(offer, "ice-pwd"))
	return g, answer, nil
}

// checkOffer tells whether an offer has data channels.
func checkOffer(offer string) (data bool, err error) {
	sd := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}
	parsed, err := sd.Unmarshal()
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrDescription, err)
	}
	if !strings.HasPrefix(offer, "v=") { // which the parser does not miss
		return false, fmt.Errorf("%w: it does not begin with v=", ErrDescription)
	}
	if len(parsed.MediaDescriptions) > maxSections {
		return false, fmt.Errorf("%w: it has %d sections, at most %d are taken", ErrNotNegotiable, len(parsed.MediaDescriptions), maxSections)
	}
	candidates, sent := 0, false
	for _, m := range parsed.MediaDescriptions {
		if m.MediaName.Media == "application" {
			data = data || offered(m)
		} else {
			sent = sent || offered(m) && sends(m)
		}
		for _, a := range m.Attributes {
			if a.IsICECandidate() {
				candidates++
			}
		}
	}
	switch {
	case !data && !sent:
		return false, fmt.Errorf("%w: it neither sends media nor has a data channel", ErrNotNegotiable)
	case candidates > maxCandidates:
		return false, fmt.Errorf("%w: it has %d candidates, at most %d are taken", ErrNotNegotiable, candidates, maxCandidates)
	}
	return data, nil
}

// offered tells whether a section is not turned down; one that is only in a bundle
// may have no port (RFC 9143, section 6).
func offered(m *sdp.MediaDescription) bool {
	_, bundled := m.Attribute("bundle-only")
	return bundled || m.MediaName.Port.Value != 0
}

func sends(m *sdp.MediaDescription) bool {
	_, receives := m.Attribute("recvonly")
	_, inactive := m.Attribute("inactive")
	return !receives && !inactive
}

// checkAnswer refuses an offer of which a part cannot be had (RFC 9725, section
// 4.4.3).
func checkAnswer(offer, answer *webrtc.SessionDescription) error {
	asked, err := offer.Unmarshal()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDescription, err)
	}
	given, err := answer.Unmarshal()
	if err != nil {
		return fmt.Errorf("read our answer: %w", err)
	}
	for i, m := range asked.MediaDescriptions {
		if i >= len(given.MediaDescriptions) || offered(m) && !offered(given.MediaDescriptions[i]) {
			return fmt.Errorf("%w: section %d (%s) has nothing that both ends know", ErrNotNegotiable, i+1, m.MediaName.Media)
		}
	}
	return nil
}

func (t *Transport) newGuest(label string, data bool) (*Guest, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, net.ErrClosed
	}
	g := &Guest{
		transport: t, label: label, data: data,
		connected: make(chan struct{}), channel: make(chan *Channel, 1),
		negotiating: make(chan struct{}, 1),
	}
	pc, err := bounded(t.hosting, t.media, g.end).NewPeerConnection(t.configuration())
	if err != nil {
		return nil, err
	}
	g.pc = pc
	g.ctx, g.stop = context.WithCancelCause(context.Background())
	t.guests[g] = struct{}{}
	pc.OnConnectionStateChange(g.stateChanged)
	pc.OnDataChannel(g.adopt)
	pc.OnTrack(g.arrived)
	return g, nil
}

// answer answers an offer, the first or one that changes something.
func (g *Guest) answer(ctx context.Context, offer string) (string, error) {
	err := g.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotNegotiable, err)
	}
	answer, err := g.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotNegotiable, err)
	}
	if err := checkAnswer(&webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}, &answer); err != nil {
		return "", err
	}
	complete := webrtc.GatheringCompletePromise(g.pc)
	if err := g.pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotNegotiable, err)
	}
	select {
	case <-complete:
	case <-ctx.Done():
		return "", fmt.Errorf("gather candidates: %w", ctx.Err())
	}
	return g.pc.LocalDescription().SDP, nil
}

// Connected is closed once media and data can pass.
func (g *Guest) Connected() <-chan struct{} { return g.connected }

// Channel has the data channel, once the client has opened it.
func (g *Guest) Channel() <-chan *Channel { return g.channel }

// HasData tells whether the client's offer has data channels.
func (g *Guest) HasData() bool { return g.data }

// Context ends with the connection; its cause says why.
func (g *Guest) Context() context.Context { return g.ctx }

// Done is closed when the connection has ended.
func (g *Guest) Done() <-chan struct{} { return g.ctx.Done() }

// OnTrack has f called with every track of the client, those that came before among
// them. The calls may overlap, and must not block. A track's packets are dropped
// until somebody reads them.
func (g *Guest) OnTrack(f func(*webrtc.TrackRemote, *webrtc.RTPReceiver)) {
	g.mu.Lock()
	early := g.early
	g.onTrack, g.early = f, nil
	g.mu.Unlock()
	for _, t := range early {
		f(t.remote, t.receiver)
	}
}

func (g *Guest) arrived(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
	g.mu.Lock()
	g.tracks++
	f, tooMany := g.onTrack, g.tracks > maxSections
	if f == nil && !tooMany {
		g.early = append(g.early, track{remote, receiver})
	}
	g.mu.Unlock()
	switch {
	case tooMany:
		g.end(errTooManyTracks)
	case f != nil:
		f(remote, receiver)
	}
}

// WritePLI asks the client for a whole picture of a video track (RFC 4585, section
// 6.3.1).
func (g *Guest) WritePLI(track *webrtc.TrackRemote) error {
	err := g.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}})
	if err != nil {
		return fmt.Errorf("ask for a picture: %w", err)
	}
	return nil
}

// adopt takes the data channel with our label; others are closed.
func (g *Guest) adopt(dc *webrtc.DataChannel) {
	g.mu.Lock()
	g.channels++
	tooMany := g.channels > maxChannels
	g.mu.Unlock()
	if tooMany {
		g.end(errTooManyChannels)
		return
	}
	dc.OnOpen(func() {
		g.mu.Lock()
		taken := g.taken || g.ended || dc.Label() != g.label
		g.taken = g.taken || !taken
		g.mu.Unlock()
		if taken {
			dc.Close()
			return
		}
		raw, err := dc.Detach()
		if err != nil {
			g.end(fmt.Errorf("detach the data channel: %w", err))
			return
		}
		g.channel <- newChannel(g, raw.(*datachannel.DataChannel))
	})
}

// stateChanged leaves a connection that is disconnected alone: the client may come
// back, or restart ICE, until ICE gives up.
func (g *Guest) stateChanged(s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionStateConnected:
		g.mu.Lock()
		if !g.up {
			g.up = true
			close(g.connected)
		}
		g.mu.Unlock()
	case webrtc.PeerConnectionStateFailed:
		g.end(errors.New("connection failed"))
	case webrtc.PeerConnectionStateClosed:
		g.end(errRemote)
	}
}

// Close ends the connection at once. It does not wait; Transport.Close does.
func (g *Guest) Close() error {
	g.end(errors.New("closed by us"))
	return nil
}

func (g *Guest) end(reason error) {
	g.mu.Lock()
	if g.ended {
		g.mu.Unlock()
		return
	}
	g.ended, g.early = true, nil
	g.transport.wg.Add(1)
	g.mu.Unlock()
	g.stop(reason)
	go func() {
		defer g.transport.wg.Done()
		if err := g.pc.GracefulClose(); err != nil {
			g.transport.log.Debug("close a guest's connection", "error", err)
		}
		g.transport.mu.Lock()
		defer g.transport.mu.Unlock()
		delete(g.transport.guests, g)
	}()
}
