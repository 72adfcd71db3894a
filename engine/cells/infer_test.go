package cells

import (
	"testing"

	"pgregory.net/rapid"
)

// claim is what peers of a room with cells of a size say.
func claim(size int, ids []string, who ...string) map[string]int {
	top, claims := New(size, ids...), map[string]int{}
	for _, id := range who {
		claims[id] = top.Cell(id)
	}
	return claims
}

// The size that all have is found, or another that makes as many cells.
func TestInfer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := ids(rapid.IntRange(2, 300).Draw(t, "peers"))
		size := rapid.IntRange(2, 64).Draw(t, "size")
		now := rapid.IntRange(-1, 70).Draw(t, "now")
		got, ok := Infer(list, claim(size, list, list...), now)
		if !ok {
			t.Fatal("not sure")
		}
		a, b := New(got, list...), New(size, list...)
		for _, id := range list {
			if a.Cell(id) != b.Cell(id) {
				t.Fatalf("%d, want %d", got, size)
			}
		}
		if now == size && got != size {
			t.Fatalf("%d, but %d agreed", got, now)
		}
	})
}

func TestInferFew(t *testing.T) {
	list := ids(100)
	top := New(3, list...)
	wrong := func(n int) map[string]int { // ten claims, of which the first n are wrong
		claims := claim(3, list, list[:10]...)
		for _, id := range list[:n] {
			claims[id] = top.Cells() + 1
		}
		return claims
	}
	strangers := claim(3, list, list[:4]...)
	for _, id := range ids(120)[100:] {
		strangers[id] = 7
	}
	for _, c := range []struct {
		name   string
		ids    []string
		claims map[string]int
		now    int
		size   int
		ok     bool
	}{
		{"nobody says anything", list, nil, 7, 7, false},
		{"nobody is there", nil, map[string]int{"a": 0, "b": 0}, 7, 7, false},
		{"one claim", list, claim(3, list, list[0]), 3, 3, false},
		{"two claims that agree with now", list, claim(3, list, list[:2]...), 3, 3, true},
		{"all", list, claim(3, list, list...), 10, 3, true},
		{"now is no size", list, claim(DefaultSize, list, list...), 0, DefaultSize, true},
		{"a fifth is wrong", list, wrong(2), 10, 3, true},
		{"more than a fifth is wrong", list, wrong(3), 10, 3, false},
		{"one of four is wrong", list, map[string]int{list[0]: -1, list[1]: top.Cell(list[1]), list[2]: top.Cell(list[2]), list[3]: top.Cell(list[3])}, 3, 3, false},
		{"strangers do not count", list, strangers, 3, 3, true},
		// 100 peers make 34 cells of 3 and 4 of 25 to 33.
		{"now, of several that agree", list, claim(30, list, list...), 29, 29, true},
		{"the smallest, of several that agree", list, claim(30, list, list...), 3, 25, true},
		{"a size beyond those that are tried", list, claim(200, list, list...), 150, 150, true},
		{"cells of one are not tried", list, claim(1, list, list...), 10, 10, false},
		{"unless they are now", list, claim(1, list, list...), 1, 1, true},
	} {
		size, ok := Infer(c.ids, c.claims, c.now)
		if ok != c.ok || ok && size != c.size {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, size, ok, c.size, c.ok)
		}
	}
}

func BenchmarkInfer10000(b *testing.B) {
	list := ids(10_000)
	claims := claim(3, list, list...)
	for b.Loop() {
		if size, ok := Infer(list, claims, DefaultSize); size != 3 || !ok {
			b.Fatal(size, ok)
		}
	}
}
