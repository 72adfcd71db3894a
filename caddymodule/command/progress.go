package command

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// rateOver is how much of the past the rate is taken from.
const rateOver = 5 * time.Second

// progress is how far a transfer has got.
type progress struct {
	name  string
	size  int64
	begun sample // when and where this process began
	ended bool

	past []sample // of the last rateOver, oldest first
}

type sample struct {
	at   time.Time
	done int64
}

func newProgress(name string, size int64, begun sample) *progress {
	return &progress{name: printable(name), size: size, begun: begun, past: []sample{begun}}
}

// note adds what is done now.
func (p *progress) note(done int64, now time.Time) {
	p.past = append(p.past, sample{now, done})
	for len(p.past) > 2 && now.Sub(p.past[1].at) >= rateOver {
		p.past = p.past[1:]
	}
}

// rate is in bytes a second: of the last seconds, or of all once it has ended.
func (p *progress) rate(now time.Time) float64 {
	since, last := p.past[0], p.past[len(p.past)-1]
	if p.ended {
		since = p.begun
	}
	if took := now.Sub(since.at).Seconds(); took > 0 {
		return max(0, float64(last.done-since.done)/took)
	}
	return 0
}

// line says it in a line of a width, with a bar if there is place for one; width
// 0 is that of a log.
func (p *progress) line(now time.Time, width int) string {
	done := p.past[len(p.past)-1].done
	fraction := 1.0
	if p.size > 0 {
		fraction = float64(done) / float64(p.size)
	}
	rate := p.rate(now)
	text := fmt.Sprintf("%3d%%  %s of %s  %s/s", int(100*fraction), bytesText(done), bytesText(p.size), bytesText(int64(rate)))
	switch left := float64(p.size - done); {
	case p.ended:
		text += fmt.Sprintf("  in %s", durationText(now.Sub(p.begun.at)))
	case rate >= 1:
		text += fmt.Sprintf("  %s left", durationText(time.Duration(min(left/rate, 1e6)*float64(time.Second))))
	default:
		text += "  waiting"
	}
	name := p.name
	if width == 0 {
		return name + "  " + text
	}
	bar := width - utf8.RuneCountInString(name) - utf8.RuneCountInString(text) - 5
	if bar > 40 {
		bar = 40
	}
	if bar < 8 {
		return string([]rune(text)[:min(width, utf8.RuneCountInString(text))])
	}
	full := int(fraction * float64(bar))
	return fmt.Sprintf("%s [%s%s] %s", name, strings.Repeat("#", full), strings.Repeat("-", bar-full), text)
}

func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func durationText(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
