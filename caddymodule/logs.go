package caddymodule

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// logs is where the server of a node logs to: the logger of the configuration
// in force. The server outlives configurations, whose logs are closed with
// them.
type logs struct{ handler atomic.Pointer[slog.Handler] }

func (l *logs) use(logger *slog.Logger) {
	h := logger.Handler()
	l.handler.Store(&h)
}

// logger returns a logger that follows use.
func (l *logs) logger() *slog.Logger { return slog.New(logHandler{logs: l}) }

// logHandler is a slog.Handler that is derived anew from the current one, since
// attributes and groups would otherwise bind it to one configuration.
type logHandler struct {
	logs   *logs
	derive func(slog.Handler) slog.Handler // nil: not at all
}

func (h logHandler) current() slog.Handler {
	current := *h.logs.handler.Load()
	if h.derive != nil {
		current = h.derive(current)
	}
	return current
}

func (h logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return (*h.logs.handler.Load()).Enabled(ctx, level)
}

func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.current().Handle(ctx, r)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(n slog.Handler) slog.Handler { return n.WithAttrs(attrs) })
}

func (h logHandler) WithGroup(name string) slog.Handler {
	return h.with(func(n slog.Handler) slog.Handler { return n.WithGroup(name) })
}

func (h logHandler) with(last func(slog.Handler) slog.Handler) slog.Handler {
	before := h.derive
	h.derive = func(n slog.Handler) slog.Handler {
		if before != nil {
			n = before(n)
		}
		return last(n)
	}
	return h
}
