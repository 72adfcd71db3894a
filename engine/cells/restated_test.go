package cells

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
)

// restated is a topology as docs/protocol.md says it, "Cells", and no more than that.
type restated struct {
	roster  []string // sorted by code units
	cells   int
	cell    map[string]int
	members [][]string
	bridge  []string         // "" for an empty cell
	lists   map[string][]int // bridges lists
}

func restate(size int, ids []string) restated {
	t := restated{cell: map[string]int{}, lists: map[string][]int{}}
	t.roster = slices.SortedFunc(slices.Values(ids), byUnits)
	t.cells = max(1, int(math.Ceil(float64(len(ids))/float64(size))))
	t.members, t.bridge = make([][]string, t.cells), make([]string, t.cells)
	var order []int // of first appearance
	for _, p := range t.roster {
		best := int64(-1)
		for c := range t.cells {
			if h := int64(plainHash(p + ":" + strconv.Itoa(c))); h > best {
				best, t.cell[p] = h, c
			}
		}
		c := t.cell[p]
		t.members[c] = append(t.members[c], p)
		if !slices.Contains(order, c) {
			order = append(order, c)
		}
	}
	for c, members := range t.members {
		best := int64(-1)
		for _, p := range members { // sorted: the lower id wins a tie
			if h := int64(plainHash(p + "@" + strconv.Itoa(c))); h > best {
				best, t.bridge[c] = h, p
			}
		}
	}
	for _, c := range order {
		for s := 1; c+s < t.cells; s *= 2 {
			t.lists[t.bridge[c]] = append(t.lists[t.bridge[c]], c+s)
			if b := t.bridge[c+s]; b != "" {
				t.lists[b] = append(t.lists[b], c)
			}
		}
	}
	return t
}

func (t *restated) ttl() int {
	return min(150, int(math.Ceil(math.Log2(float64(t.cells+1))))*2+3)
}

func (t *restated) neighbours(c int) []int {
	list := []int{}
	for n := range t.cells {
		for s := 1; s < t.cells; s *= 2 {
			if n == c+s || n == c-s {
				list = append(list, n)
			}
		}
	}
	return list
}

func (t *restated) links(p string) []string {
	links := map[string]bool{}
	own := t.cell[p]
	for _, m := range t.members[own] {
		links[m] = true
	}
	for _, n := range t.neighbours(own) {
		links[t.bridge[n]] = true
		if t.bridge[own] == p {
			for _, m := range t.members[n] {
				links[m] = true
			}
		}
	}
	delete(links, p)
	delete(links, "")
	return sortedKeys(links)
}

func (t *restated) audience(c int, self string) []string {
	audience := map[string]bool{}
	for _, m := range t.members[c] {
		audience[m] = true
	}
	for b, list := range t.lists {
		if slices.Contains(list, c) {
			audience[b] = true
		}
	}
	delete(audience, self)
	return sortedKeys(audience)
}

func sortedKeys(set map[string]bool) []string {
	list := []string{}
	for k := range set {
		list = append(list, k)
	}
	slices.SortFunc(list, byUnits)
	return list
}

func byUnits(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

func plainHash(s string) uint32 {
	h := uint32(0)
	var units [2]uint16
	for _, r := range s {
		for _, unit := range utf16.AppendRune(units[:0], r) {
			h ^= uint32(unit)
			h *= 2654435761
		}
	}
	return h
}
