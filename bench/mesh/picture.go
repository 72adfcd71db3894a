package main

import (
	"bytes"
	"fmt"
	"math"

	"github.com/genosrtc/caddy-genosrtc/engine/cells"
)

// draw is the topology as an SVG picture: the cells on a circle, from the top on, each
// with its peers behind it, the bridge first; and the edges between the cells, the
// longer the lighter.
func (r *result) draw() []byte {
	const (
		size   = 1200
		radius = 420.0
	)
	t := r.topology
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="%d %d %d %d"><rect x="%[1]d" y="%[2]d" width="%[3]d" height="%[4]d" fill="#fff"/>`+"\n",
		-size/2, -size/2, size, size)
	place := func(cell int, r float64) (x, y float64) {
		angle := 2*math.Pi*float64(cell)/float64(t.Cells()) - math.Pi/2
		return r * math.Cos(angle), r * math.Sin(angle)
	}
	for c := range t.Cells() {
		for _, n := range t.Neighbours(c) {
			if n < c || t.Bridge(c) == "" || t.Bridge(n) == "" {
				continue
			}
			x1, y1 := place(c, radius)
			x2, y2 := place(n, radius)
			fmt.Fprintf(&b, `<path d="M%.1f %.1fQ0 0 %.1f %.1f" fill="none" stroke="#247" stroke-width=".4" opacity="%.2f"/>`+"\n",
				x1, y1, x2, y2, max(.05, .6/float64(1+math.Log2(float64(n-c)))))
		}
	}
	dot := min(5, math.Pi*radius/float64(t.Cells()))
	for c := range t.Cells() {
		x, y := place(c, radius)
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="#c30"><title>%s</title></circle>`+"\n", x, y, dot, cells.Name(c))
		for i := range max(0, len(t.Members(c))-1) {
			x, y := place(c, radius+10+6*float64(i))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="#888"/>`+"\n", x, y, dot*.7)
		}
	}
	fmt.Fprintf(&b, `<text x="0" y="%d" text-anchor="middle" font-family="sans-serif" font-size="18">%d peers in %d cells</text>`+"\n</svg>\n",
		size/2-20, t.Len(), t.Cells())
	return b.Bytes()
}
