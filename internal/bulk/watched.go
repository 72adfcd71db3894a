package bulk

import (
	"context"
	"sync/atomic"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

// watched notes the most that a link's transport held.
type watched struct {
	engine.Transport
	peak *atomic.Int64
}

type watchedLink struct {
	engine.Link
	peak *atomic.Int64
}

// Answer implements engine.Transport.
func (w watched) Answer(ctx context.Context, offer string, h engine.LinkHandler) (engine.Link, string, error) {
	l, sdp, err := w.Transport.Answer(ctx, offer, h)
	if err != nil {
		return nil, "", err
	}
	return watchedLink{l, w.peak}, sdp, nil
}

// Offer implements engine.Transport.
func (w watched) Offer(ctx context.Context, h engine.LinkHandler) (engine.Link, string, error) {
	l, sdp, err := w.Transport.Offer(ctx, h)
	if err != nil {
		return nil, "", err
	}
	return watchedLink{l, w.peak}, sdp, nil
}

// Send implements engine.Link.
func (w watchedLink) Send(b []byte) error {
	err := w.Link.Send(b)
	for held := int64(w.Buffered()); ; {
		peak := w.peak.Load()
		if held <= peak || w.peak.CompareAndSwap(peak, held) {
			return err
		}
	}
}
