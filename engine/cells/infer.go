package cells

import "slices"

const (
	minInferred, maxInferred = 2, 64
	// maxClaims bounds the work: so many claims tell as much as all of them.
	maxClaims = 256
)

// Infer finds the size of cells with which claims agree best in a roster: of peers, the
// cell that each says it is in. It tries now (if that is not positive, DefaultSize) and
// all sizes from 2 to 64; of several it takes now if it is one of them, else the smallest.
// Claims of peers that are not in the roster do not count, nor those beyond the first 256
// by id. It is ok if there are at least two, and all but a fifth of them agree.
func Infer(ids []string, claims map[string]int, now int) (size int, ok bool) {
	if now <= 0 {
		now = DefaultSize
	}
	roster := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		roster[id] = struct{}{}
	}
	var claimants []string
	for id := range claims {
		if _, in := roster[id]; in {
			claimants = append(claimants, id)
		}
	}
	slices.SortFunc(claimants, compare)
	claimants = claimants[:min(len(claimants), maxClaims)]

	agree := map[int]int{} // by number of cells
	counts := []int{count(len(roster), now)}
	for size := minInferred; size <= maxInferred; size++ {
		counts = append(counts, count(len(roster), size))
	}
	slices.Sort(counts)
	counts = slices.Compact(counts)
	for _, id := range claimants {
		eachCell(id, counts, func(cells, cell int) {
			if cell == claims[id] {
				agree[cells]++
			}
		})
	}

	size, most := now, agree[count(len(roster), now)]
	for s := minInferred; s <= maxInferred; s++ {
		if n := agree[count(len(roster), s)]; n > most {
			size, most = s, n
		}
	}
	return size, len(claimants) >= 2 && 5*(len(claimants)-most) <= len(claimants)
}

// eachCell tells the cell of a peer for each of several numbers of cells, which ascend.
func eachCell(id string, counts []int, f func(cells, cell int)) {
	state := step(hash(0, id), ':')
	best, score, c := 0, uint32(0), 0
	for _, n := range counts {
		for ; c < n; c++ {
			if s := hashNumber(state, c); s > score {
				best, score = c, s
			}
		}
		f(n, best)
	}
}
