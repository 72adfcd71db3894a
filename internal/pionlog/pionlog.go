// Package pionlog hands the logs of pion's libraries to slog.
package pionlog

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// Factory implements logging.LoggerFactory. What pion calls an error or a warning is
// mostly a remote peer that went away, so that all of it is for debugging.
type Factory struct{ Log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (f Factory) NewLogger(scope string) logging.LeveledLogger { return leveled{f.Log, scope} }

type leveled struct {
	log   *slog.Logger
	scope string
}

func (l leveled) write(level, msg string) {
	l.log.Debug("pion: "+msg, "scope", l.scope, "level", level)
}

func (l leveled) writef(level, format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.write(level, fmt.Sprintf(format, args...))
	}
}

func (leveled) Trace(string)                   {}
func (leveled) Tracef(string, ...any)          {}
func (leveled) Debug(string)                   {}
func (leveled) Debugf(string, ...any)          {}
func (l leveled) Info(m string)                { l.write("info", m) }
func (l leveled) Infof(f string, args ...any)  { l.writef("info", f, args...) }
func (l leveled) Warn(m string)                { l.write("warn", m) }
func (l leveled) Warnf(f string, args ...any)  { l.writef("warn", f, args...) }
func (l leveled) Error(m string)               { l.write("error", m) }
func (l leveled) Errorf(f string, args ...any) { l.writef("error", f, args...) }
