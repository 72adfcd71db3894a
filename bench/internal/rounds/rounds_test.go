package rounds

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMedian(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		s    Series
		want float64
	}{
		{Series{3}, 3},
		{Series{9, 1, 2}, 2},
		{Series{4, 1, 3, 2}, 2.5},
		{Series{nan, 7, nan}, 7},
		{nil, nan},
		{Series{nan}, nan},
	} {
		if got := c.s.Median(); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("median of %v: %v, want %v", c.s, got, c.want)
		}
	}
}

// As many values are below the median as above it.
func TestMedianIsInTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Series(rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 20).Draw(t, "series"))
		before := slices.Clone(s)
		m, below, above := s.Median(), 0, 0
		for _, x := range s {
			if x < m {
				below++
			}
			if x > m {
				above++
			}
		}
		if below > len(s)/2 || above > len(s)/2 {
			t.Fatalf("median %v of %v", m, s)
		}
		if !slices.Equal(s, before) {
			t.Fatal("the series was sorted in place")
		}
	})
}

// The ratio of two medians is not the median of the ratios, which is the one
// that a slow round does not spoil.
func TestRatiosAreOfTheSameRound(t *testing.T) {
	a, b := Series{100, 10, 300}, Series{50, 5, 100}
	if got := a.Ratios(b); !slices.Equal(got, Series{2, 2, 3}) {
		t.Errorf("ratios %v", got)
	}
	if got := a.Ratios(Series{0, 5, 100}).Median(); got != 2.5 {
		t.Errorf("a division by zero counted: %v", got)
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		s        Series
		decimals int
		want     string
	}{
		{Series{1234567.4, 999, 1000}, 0, "1,000 [999..1,234,567]"},
		{Series{1.25, 0.5}, 1, "0.9 [0.5..1.2]"},
		{Series{-1234.5}, 1, "-1,234.5"},
		{Series{-123}, 0, "-123"},
		{Series{math.NaN()}, 0, "-"},
	} {
		if got := c.s.Format(c.decimals); got != c.want {
			t.Errorf("%v: %q, want %q", c.s, got, c.want)
		}
	}
}

func TestRunAlternates(t *testing.T) {
	var order []string
	res, err := Run(3, []string{"a", "b"}, io.Discard, func(round int, name string) (Values, error) {
		order = append(order, name)
		return Values{"speed": float64(len(order))}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abbaab" {
		t.Errorf("measured in the order %s", got)
	}
	if got := res.Series("a", "speed"); !slices.Equal(got, Series{1, 4, 5}) {
		t.Errorf("a: %v", got)
	}
	var out strings.Builder
	if err := res.Print(&out, []Metric{{"speed", 0}, {"size", 0}}); err != nil {
		t.Fatal(err)
	}
	const want = "" +
		"median [min..max] of 3   a          b          a / b\n" +
		"speed                    4 [1..5]   3 [2..6]   0.83 [0.50..1.33]\n" +
		"size                     -          -          -\n"
	if out.String() != want {
		t.Errorf("table:\n%s\nwant\n%s", out.String(), want)
	}
}

func TestRunEndsAtTheFirstError(t *testing.T) {
	boom, calls := errors.New("boom"), 0
	_, err := Run(3, []string{"a", "b"}, io.Discard, func(int, string) (Values, error) {
		calls++
		return nil, boom
	})
	if !errors.Is(err, boom) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}
