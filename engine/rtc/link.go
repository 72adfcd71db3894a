package rtc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v4"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// maxMessage is the largest message that a link reads, which is what pion's
// descriptions tell the other end.
const maxMessage = 64 << 10

const (
	// maxLinkSections bounds the sections of a peer's offer. A page that shows much
	// has a few dozen.
	maxLinkSections = 128
	// maxChannels bounds the data channels that the other end opens in the life of a
	// connection: pion keeps them, closed or not.
	maxChannels = 16
)

// link is a peer connection with its data channel.
type link struct {
	transport *Transport
	api       *webrtc.API
	pc        *webrtc.PeerConnection
	h         engine.LinkHandler

	media media

	mu       sync.Mutex
	dc       *datachannel.DataChannel // once open
	channels int                      // of the other end
	ended    bool
	stage    string // when it ended
	reason   error
}

var (
	errNotOpen         = errors.New("data channel is not open")
	errRemote          = errors.New("closed by the remote peer, or lost")
	errTooLong         = errors.New("a message is longer than can be received")
	errTooManyChannels = fmt.Errorf("more than %d data channels", maxChannels)
)

func (l *link) answer(ctx context.Context, offer string) (string, error) {
	if n := strings.Count(offer, "\nm="); n > maxLinkSections {
		return "", fmt.Errorf("an offer has %d sections, at most %d are taken", n, maxLinkSections)
	}
	err := l.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer})
	if err != nil {
		return "", err
	}
	if err := l.decline(); err != nil {
		return "", err
	}
	sdp, err := l.pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	answer, err := l.gather(ctx, sdp)
	return sendOnly(answer), err
}

// decline turns down the media of an offer, but for sections that we send in.
func (l *link) decline() error {
	for _, t := range l.pc.GetTransceivers() {
		if t.Sender() == nil && t.Direction() != webrtc.RTPTransceiverDirectionInactive {
			if err := t.Stop(); err != nil {
				return fmt.Errorf("decline media: %w", err)
			}
		}
	}
	return nil
}

func (l *link) offer(ctx context.Context) (string, error) {
	ordered := true
	dc, err := l.pc.CreateDataChannel(label, &webrtc.DataChannelInit{Ordered: &ordered})
	if err != nil {
		return "", err
	}
	l.adopt(dc)
	l.pc.OnDataChannel(func(other *webrtc.DataChannel) {
		if l.counts() {
			other.OnOpen(func() { other.Close() })
		}
	})
	sdp, err := l.pc.CreateOffer(nil)
	if err != nil {
		return "", err
	}
	return l.gather(ctx, sdp)
}

// gather waits for all candidates: GenosRTC does not trickle.
func (l *link) gather(ctx context.Context, sdp webrtc.SessionDescription) (string, error) {
	complete := webrtc.GatheringCompletePromise(l.pc)
	if err := l.pc.SetLocalDescription(sdp); err != nil {
		return "", err
	}
	select {
	case <-complete:
	case <-ctx.Done():
		return "", fmt.Errorf("gather candidates: %w", ctx.Err())
	}
	return l.pc.LocalDescription().SDP, nil
}

// Accept implements engine.Link.
func (l *link) Accept(_ context.Context, answer string) error {
	err := l.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
	if err != nil {
		return fmt.Errorf("accept an answer: %w", err)
	}
	return nil
}

// Renegotiate implements engine.Link. Media in the offer is declined.
func (l *link) Renegotiate(ctx context.Context, offer string) (string, error) {
	sdp, err := l.answer(ctx, offer)
	if err != nil {
		return "", fmt.Errorf("answer a renegotiation: %w", err)
	}
	return sdp, nil
}

// heard takes a data channel of the other end.
func (l *link) heard(dc *webrtc.DataChannel) {
	if l.counts() {
		l.adopt(dc)
	}
}

// counts counts a data channel of the other end, whose last this may be.
func (l *link) counts() bool {
	l.mu.Lock()
	l.channels++
	ok := l.channels <= maxChannels
	l.mu.Unlock()
	if !ok {
		l.end(errTooManyChannels)
	}
	return ok
}

// adopt takes the data channel that carries frames; others are closed.
func (l *link) adopt(dc *webrtc.DataChannel) {
	dc.OnOpen(func() {
		if dc.Label() != label {
			dc.Close()
			return
		}
		raw, err := dc.Detach()
		if err != nil {
			l.end(fmt.Errorf("detach the data channel: %w", err))
			return
		}
		l.open(raw.(*datachannel.DataChannel))
	})
}

func (l *link) open(dc *datachannel.DataChannel) {
	l.mu.Lock()
	if l.ended || l.dc != nil {
		l.mu.Unlock()
		dc.Close()
		return
	}
	l.dc = dc
	l.transport.wg.Add(1)
	l.mu.Unlock()
	dc.OnBufferedAmountLow(l.h.LinkWritable)
	go l.read(dc)
}

// read makes all the handler's calls of an open link.
func (l *link) read(dc *datachannel.DataChannel) {
	defer l.transport.wg.Done()
	l.h.LinkOpen()
	buf := make([]byte, maxMessage)
	for {
		n, text, err := dc.ReadDataChannel(buf)
		switch {
		case errors.Is(err, io.ErrShortBuffer):
			if !skip(dc) {
				l.end(errTooLong)
				l.h.LinkClosed(l.why())
				return
			}
			l.h.LinkJunk(engine.JunkLong)
		case err != nil:
			l.end(errRemote)
			l.h.LinkClosed(l.why())
			return
		case text:
			l.h.LinkJunk(engine.JunkText)
		default:
			l.h.LinkFrame(buf[:n])
		}
	}
}

// skipped is what messages that are too long are read into, to be rid of them: a
// short buffer leaves them where they are. SCTP's receive buffer of 1 MiB bounds what
// can come as one.
var skipped = sync.Pool{New: func() any { return new([1<<20 + maxMessage]byte) }}

func skip(dc *datachannel.DataChannel) bool {
	into := skipped.Get().(*[1<<20 + maxMessage]byte)
	defer skipped.Put(into)
	_, _, err := dc.ReadDataChannel(into[:])
	return !errors.Is(err, io.ErrShortBuffer) // another one comes again
}

func (l *link) stateChanged(s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionStateDisconnected, webrtc.PeerConnectionStateFailed:
		l.end(fmt.Errorf("connection %s", s))
	case webrtc.PeerConnectionStateClosed:
		l.end(errRemote)
	}
}

// Send implements engine.Link.
func (l *link) Send(b []byte) error {
	l.mu.Lock()
	dc := l.dc
	l.mu.Unlock()
	if dc == nil {
		return errNotOpen
	}
	if _, err := dc.WriteDataChannel(b, false); err != nil {
		return fmt.Errorf("write a frame: %w", err)
	}
	return nil
}

// Buffered implements engine.Link. In SCTP a byte counts until a SACK reports
// it, be it cumulatively or in a gap block.
func (l *link) Buffered() int {
	l.mu.Lock()
	dc := l.dc
	l.mu.Unlock()
	if dc == nil {
		return 0
	}
	return int(dc.BufferedAmount())
}

// RoundTrip implements engine.Link. It is that of the last connectivity check (RFC
// 7675), of which there is one every few seconds, so that it is new on an idle link too.
func (l *link) RoundTrip() time.Duration {
	pair, ok := l.pc.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
	if !ok {
		return 0
	}
	return time.Duration(pair.CurrentRoundTripTime * float64(time.Second))
}

// WakeAt implements engine.Link.
func (l *link) WakeAt(buffered int) {
	l.mu.Lock()
	dc := l.dc
	l.mu.Unlock()
	if dc != nil {
		dc.SetBufferedAmountLowThreshold(uint64(buffered))
	}
}

// Close implements engine.Link.
func (l *link) Close() error {
	l.end(errors.New("closed by us"))
	return nil
}

// end closes the connection, in a goroutine of its own since that takes time,
// and lets the handler know.
func (l *link) end(reason error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended, l.reason, l.stage = true, reason, l.stageNow()
	reading := l.dc != nil
	l.transport.wg.Add(1)
	l.mu.Unlock()
	go func() {
		defer l.transport.wg.Done()
		l.shut()
		if !reading {
			l.h.LinkClosed(reason)
		}
	}()
}

// Stage implements engine.Staged.
func (l *link) Stage() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return l.stage
	}
	return l.stageNow()
}

// stageNow needs the lock.
func (l *link) stageNow() string {
	dtls := l.pc.SCTP().Transport()
	switch {
	case l.dc != nil:
		return "open"
	case dtls.State() == webrtc.DTLSTransportStateConnected:
		return "channel"
	case dtls.State() == webrtc.DTLSTransportStateConnecting:
		return "dtls"
	}
	return "ice"
}

// discard closes a link that the handler was not told of.
func (l *link) discard() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.transport.wg.Go(l.shut)
}

func (l *link) shut() {
	if err := l.pc.GracefulClose(); err != nil {
		l.transport.log.Debug("close a peer connection", "error", err)
	}
	l.transport.forget(l)
}

func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}
