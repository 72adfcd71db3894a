package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/genosrtc/caddy-genosrtc"
)

// emitter emits the server's events by Caddy's events app, in the name of the app
// genosrtc. It is called by a goroutine of the server's own, as handlers may take long.
// Until all apps of its configuration are started, it waits: the events app takes its
// subscriptions when it starts.
func emitter(ctx caddy.Context, app *caddyevents.App) (func(genosrtc.Event), error) {
	ready := make(started)
	if err := app.On("started", ready); err != nil {
		return nil, err
	}
	return func(e genosrtc.Event) {
		select {
		case <-ready: // also where the configuration is just being replaced
		default:
			select {
			case <-ready:
			case <-ctx.Done():
				return
			}
		}
		if !app.ShouldEmit(e.Name) {
			return
		}
		data := make(map[string]any)
		for key, value := range map[string]string{
			"room": e.Room, "peer": e.Peer, "type": e.Type, "relay": e.Relay, "address": e.Address, "reason": e.Reason,
		} {
			if value != "" {
				data[key] = value
			}
		}
		app.Emit(ctx, e.Name, data)
	}, nil
}

// started is closed by Caddy's event of that name, which comes once for a configuration.
type started chan struct{}

// Handle implements caddyevents.Handler.
func (s started) Handle(_ context.Context, e caddy.Event) error {
	if e.Origin() == nil { // Caddy's own
		close(s)
	}
	return nil
}
