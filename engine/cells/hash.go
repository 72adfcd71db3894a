package cells

import (
	"strconv"
	"strings"
	"unicode/utf16"
)

// Hash is the hash by which peers are given their places. It goes over UTF-16 code
// units, as in JavaScript; bytes that are no UTF-8 count as U+FFFD.
func Hash(s string) uint32 { return hash(0, s) }

// hash goes on from h.
func hash(h uint32, s string) uint32 {
	for _, r := range s {
		if r > 0xffff {
			high, low := utf16.EncodeRune(r)
			h, r = step(h, uint32(high)), low
		}
		h = step(h, uint32(r))
	}
	return h
}

func step(h, unit uint32) uint32 { return (h ^ unit) * 2654435761 }

// hashNumber goes on from h over the decimal digits of n.
func hashNumber(h uint32, n int) uint32 {
	if n >= 10 {
		h = hashNumber(h, n/10)
	}
	return step(h, '0'+uint32(n%10))
}

// cellState is the hash of an id and ":". The number of a cell goes after it.
func cellState(id string) uint32 { return step(hash(0, id), ':') }

// best is the cell for which a peer has the greatest hash, the first of several.
type best struct {
	cell  int
	score uint32
}

// look goes on over the cells from first up to end.
func (b *best) look(state uint32, first, end int) {
	for first < end {
		shared := state // by up to ten cells: all digits but the last
		if first >= 10 {
			shared = hashNumber(state, first/10)
		}
		for next := min(end, first-first%10+10); first < next; first++ {
			if s := step(shared, '0'+uint32(first%10)); s > b.score {
				b.cell, b.score = first, s
			}
		}
	}
}

// rank is the place of a member in the succession to its cell's bridge: the greatest is it.
func rank(id string, cell int) uint32 { return hashNumber(step(hash(0, id), '@'), cell) }

// compare orders ids by their UTF-16 code units, as JavaScript's sort does. That is the
// order of the bytes, except that U+E000 to U+FFFF come after what is beyond them.
func compare(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return order(a[i]) - order(b[i])
		}
	}
	return len(a) - len(b)
}

func order(b byte) int {
	if b == 0xee || b == 0xef { // U+E000 to U+FFFF begin with these
		return int(b) + 0x100
	}
	return int(b)
}

const (
	channelPrefix = "c"
	namePrefix    = "cell-"
	maxDigits     = 6
)

// Channel is the name of the channel on which a cell talks, such as "c3".
func Channel(cell int) string { return channelPrefix + strconv.Itoa(cell) }

// ParseChannel reads the name of a cell's channel. Only what Channel writes is one, with
// 6 digits at most.
func ParseChannel(name string) (cell int, ok bool) { return parse(name, channelPrefix) }

// Name is the name of a cell in frames and states, such as "cell-3".
func Name(cell int) string { return namePrefix + strconv.Itoa(cell) }

// ParseName reads the name of a cell. Only what Name writes is one, with 6 digits at most.
func ParseName(name string) (cell int, ok bool) { return parse(name, namePrefix) }

func parse(name, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok || digits == "" || len(digits) > maxDigits || digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	n := 0
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = 10*n + int(d-'0')
	}
	return n, true
}
