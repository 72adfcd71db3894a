package cells

import (
	"cmp"
	"slices"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestHashBeyondTheBasicPlane(t *testing.T) {
	// '😀' is the units d83d de00 in JavaScript.
	want := step(step(0, 0xd83d), 0xde00)
	if got := Hash("😀"); got != want {
		t.Errorf("%d, want %d", got, want)
	}
	if Hash("a\xff") != Hash("a\ufffd") {
		t.Error("a byte that is no UTF-8 is not U+FFFD")
	}
}

// compare has the order of JavaScript's sort.
func TestCompare(t *testing.T) {
	id := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("aé\ud7ff\ue000\uffff\U00010000😀"))))
	rapid.Check(t, func(t *rapid.T) {
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			t.Fatal("not UTF-8")
		}
		want := slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
		if got := cmp.Compare(compare(a, b), 0); got != want {
			t.Fatalf("%q, %q: %d, want %d", a, b, got, want)
		}
	})
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		digits string
		cell   int
		ok     bool
	}{
		{"0", 0, true}, {"7", 7, true}, {"10", 10, true}, {"999999", 999999, true},
		{"", 0, false}, {"00", 0, false}, {"03", 0, false}, {"1000000", 0, false}, {"-1", 0, false}, {"+1", 0, false},
		{"1a", 0, false}, {" 1", 0, false}, {"1.0", 0, false}, {"１", 0, false}, {"99999999999999999999", 0, false},
	} {
		for _, n := range []struct {
			prefix string
			parse  func(string) (int, bool)
			write  func(int) string
		}{{"c", ParseChannel, Channel}, {"cell-", ParseName, Name}} {
			if cell, ok := n.parse(n.prefix + c.digits); cell != c.cell || ok != c.ok {
				t.Errorf("%s%s: %d, %v", n.prefix, c.digits, cell, ok)
			}
			if c.ok && n.write(c.cell) != n.prefix+c.digits {
				t.Errorf("%d is %s", c.cell, n.write(c.cell))
			}
			if _, ok := n.parse("x" + c.digits); ok {
				t.Errorf("x%s is one", c.digits)
			}
		}
	}
	for _, s := range []string{"", "C3", "chat", "cell-3"} {
		if _, ok := ParseChannel(s); ok {
			t.Errorf("%s is a channel", s)
		}
	}
	if _, ok := ParseName("c3"); ok {
		t.Error("c3 is a name")
	}
}
