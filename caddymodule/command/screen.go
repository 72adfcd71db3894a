package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// plainEvery is how often the progress is printed where it cannot be redrawn.
const plainEvery = 5 * time.Second

// screen is where a command says how things are: lines, and below them on a
// terminal one line that is redrawn. Several goroutines may use it at once; they
// take turns in writing, as with a log.
type screen struct {
	out   io.Writer
	width func() int // of the terminal; nil: it is none

	mu      sync.Mutex
	bar     string    // as it stands on the terminal
	drawn   time.Time // when it was printed, without a terminal
	offline bool
}

// standardError is the usual screen: results go to standard output.
func standardError() *screen {
	s := &screen{out: os.Stderr}
	if fd := int(os.Stderr.Fd()); term.IsTerminal(fd) {
		s.width = func() int {
			width, _, err := term.GetSize(fd)
			if err != nil || width <= 0 {
				return 80
			}
			return width
		}
	}
	return s
}

// say prints a line above the bar. What comes from others is made harmless.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprintln(s.out, printable(fmt.Sprintf(format, args...)))
	s.redraw()
}

// draw shows the progress: on a terminal at once, else every 5 s.
func (s *screen) draw(p *progress, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.width != nil:
		s.wipe()
		s.bar = p.line(now, s.width()-1)
		s.redraw()
	case now.Sub(s.drawn) >= plainEvery:
		s.drawn = now
		fmt.Fprintln(s.out, p.line(now, 0))
	}
}

// finish shows the progress for the last time.
func (s *screen) finish(p *progress, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	s.bar = ""
	width := 0
	if s.width != nil {
		width = s.width() - 1
	}
	fmt.Fprintln(s.out, p.line(now, width))
}

// wipe clears the bar's line. Needs s.mu.
func (s *screen) wipe() {
	if s.bar != "" {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}

// redraw puts the bar there again. Needs s.mu.
func (s *screen) redraw() { fmt.Fprint(s.out, s.bar) }

// connection tells of lost and new connections, once each. It reports whether
// the event was one.
func (s *screen) connection(e client.Event) bool {
	switch e := e.(type) {
	case client.Offline:
		if s.turn(true) {
			s.say("not connected, trying again: %v", e.Err)
		}
	case client.Resumed:
		if s.turn(false) {
			s.say("connected again")
		}
	case client.Lost:
		s.say("the session before has ended (%s), a new one begins", e.Reason)
	case client.Joined:
		s.turn(false)
	default:
		return false
	}
	return true
}

// turn notes whether there is a connection, and reports whether that is news.
func (s *screen) turn(offline bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.offline != offline
	s.offline = offline
	return news
}

// printable is a text of somebody else as a terminal may be given it: on one
// line, and without control characters, of which terminals take orders.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
}
