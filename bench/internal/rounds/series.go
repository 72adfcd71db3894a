package rounds

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Series is one figure of several rounds, in their order. Rounds in which there
// was none are NaN.
type Series []float64

// Median returns the middle value, or the mean of the two in the middle; NaN if
// there is none.
func (s Series) Median() float64 {
	v := s.sorted()
	if len(v) == 0 {
		return math.NaN()
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Ratios divides by another series, round by round.
func (s Series) Ratios(other Series) Series {
	r := make(Series, min(len(s), len(other)))
	for i := range r {
		r[i] = s[i] / other[i]
		if math.IsInf(r[i], 0) {
			r[i] = math.NaN()
		}
	}
	return r
}

// Format shows the median and the range: "12.5 [11.9..13.2]".
func (s Series) Format(decimals int) string {
	v := s.sorted()
	switch len(v) {
	case 0:
		return "-"
	case 1:
		return number(v[0], decimals)
	}
	return fmt.Sprintf("%s [%s..%s]", number(s.Median(), decimals), number(v[0], decimals), number(v[len(v)-1], decimals))
}

func (s Series) sorted() Series {
	v := slices.DeleteFunc(slices.Clone(s), math.IsNaN)
	slices.Sort(v)
	return v
}

// number groups the digits before the point by thousands.
func number(x float64, decimals int) string {
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	first := 0
	if x < 0 {
		first = 1
	}
	for i := len(whole) - 3; i > first; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return whole
}
