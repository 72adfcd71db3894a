package cells

import "slices"

const (
	minInferred, maxInferred = 2, 64
	// maxClaims bounds the work: so many claims tell as much as all of them.
	maxClaims = 64
)

// Infer finds the size of cells with which claims agree best: of peers, the cell that each
// says it is in. The roster, ids, has nobody twice. It tries now (if that is not positive,
// DefaultSize) and all sizes from 2 to 64; of several it takes now if it is one of them,
// else the smallest. Claims of peers that are not in the roster do not count; of more than
// 64 those of the first in it do. It is ok if there are at least two, and all but a fifth
// of them agree.
func Infer(ids []string, claims map[string]int, now int) (size int, ok bool) {
	if now <= 0 {
		now = DefaultSize
	}
	var claimants []string
	for _, id := range ids {
		if _, claims := claims[id]; claims && len(claimants) < maxClaims {
			claimants = append(claimants, id)
		}
	}
	agree := map[int]int{} // by number of cells
	counts := []int{count(len(ids), now)}
	for size := minInferred; size <= maxInferred; size++ {
		counts = append(counts, count(len(ids), size))
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

	size, most := now, agree[count(len(ids), now)]
	for s := minInferred; s <= maxInferred; s++ {
		if n := agree[count(len(ids), s)]; n > most {
			size, most = s, n
		}
	}
	return size, len(claimants) >= 2 && 5*(len(claimants)-most) <= len(claimants)
}

// eachCell tells the cell of a peer for each of several numbers of cells, which ascend.
func eachCell(id string, counts []int, f func(cells, cell int)) {
	b := best{}
	state, done := cellState(id), 0
	for _, n := range counts {
		b.look(state, done, n)
		done = n
		f(n, b.cell)
	}
}
