package command

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// On a terminal the bar is one line, which others are put above.
func TestBarIsRedrawn(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, width: func() int { return 81 }}
	start := time.Unix(1000, 0)
	p := newProgress("big.iso", 100<<20, sample{start, 0})
	p.note(25<<20, start.Add(5*time.Second))
	s.draw(p, start.Add(5*time.Second))
	s.say("a\x1b[2Jb\nc")
	p.note(100<<20, start.Add(20*time.Second))
	p.ended = true
	s.finish(p, start.Add(20*time.Second))
	const clear = "\r\x1b[K"
	first := "big.iso [######------------------]  25%  25 MiB of 100 MiB  5.0 MiB/s  15s left"
	last := "big.iso [#########################] 100%  100 MiB of 100 MiB  5.0 MiB/s  in 20s"
	if out.String() != first+clear+"a\ufffd[2Jb\ufffdc\n"+first+clear+last+"\n" {
		t.Errorf("%q", out.String())
	}
}

// In a log there is a line at times.
func TestProgressInALog(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out}
	start := time.Unix(1000, 0)
	p := newProgress("big.iso", 10_000, sample{start, 0})
	for i := range 60 {
		now := start.Add(time.Duration(i) * 200 * time.Millisecond)
		p.note(int64(i*100), now)
		s.draw(p, now)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 || strings.ContainsAny(out.String(), "\r\x1b") {
		t.Errorf("%q", out.String())
	}
}

func TestConnectionIsToldOnce(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out}
	for _, e := range []client.Event{client.Joined{}, client.Offline{Err: errors.New("cut")}, client.Offline{Err: errors.New("refused")}, client.Resumed{}, client.Resumed{}} {
		if !s.connection(e) {
			t.Errorf("%T", e)
		}
	}
	if out.String() != "not connected, trying again: cut\nconnected again\n" || s.connection(client.Progress{}) {
		t.Errorf("%q", out.String())
	}
}

// Any progress fits its line, and is harmless to a terminal.
func TestAnyProgressFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 1<<50).Draw(t, "size")
		at := time.Unix(0, 0)
		p := newProgress(rapid.String().Draw(t, "name"), size, sample{at, rapid.Int64Range(0, size).Draw(t, "begun")})
		for range rapid.IntRange(0, 5).Draw(t, "notes") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "later")))
			p.note(rapid.Int64Range(0, size).Draw(t, "done"), at)
		}
		p.ended = rapid.Bool().Draw(t, "ended")
		width := rapid.IntRange(1, 300).Draw(t, "width")
		line := p.line(at, width)
		if utf8.RuneCountInString(line) > width || line != printable(line) {
			t.Fatalf("%d: %q", width, line)
		}
	})
}
