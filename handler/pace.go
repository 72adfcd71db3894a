package handler

import (
	"context"

	"golang.org/x/time/rate"
)

// pace returns a session's Pace: Limits.Rate messages a second, as the settings
// say at the time, and as many at once after silence.
func (h *Handler) pace() func(ctx context.Context) {
	var limiter *rate.Limiter
	return func(ctx context.Context) {
		n := h.settings.Load().limits.Rate
		switch {
		case n <= 0:
			return
		case limiter == nil:
			limiter = rate.NewLimiter(rate.Limit(n), n)
		case limiter.Burst() != n:
			limiter.SetLimit(rate.Limit(n))
			limiter.SetBurst(n)
		}
		// An error says that the session has ended.
		_ = limiter.Wait(ctx)
	}
}
