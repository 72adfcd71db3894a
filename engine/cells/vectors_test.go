package cells

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// vectors are what pages with GenosDB 0.25.0 computed and sent in rooms with cells: hashes,
// the states of all peers of several rooms, frames, how one frame was passed on by 14
// pages, and what a page delivered to its application of frames that it was sent.
//
//go:embed testdata/vectors.json
var vectors []byte

type recordedPeer struct {
	ID       string
	Cell     string
	IsBridge bool
	Bridges  []string
	Links    []string
}

type recordedRoom struct {
	CellSize, Cells, TTL int
	Sizes                []int
	Peers                []recordedPeer
}

func loadVectors(t testing.TB) (v struct {
	Hash []struct {
		Input string
		Hash  uint32
	}
	Topology []recordedRoom
	Frames   []struct{ Step, Channel, Text string }
	// By whom, on which channel and with which ttl a frame was sent, and to whom.
	Forwarding []struct {
		From    recordedPage
		Channel string
		TTL     int
		To      []recordedPage
	}
	Acceptance map[string][][]json.RawMessage
}) {
	t.Helper()
	if err := json.Unmarshal(vectors, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

type recordedPage struct {
	Page, Cell string
	Bridge     bool
}

func TestRecordedHashes(t *testing.T) {
	for _, v := range loadVectors(t).Hash {
		if got := Hash(v.Input); got != v.Hash {
			t.Errorf("hash of %q is %d, want %d", v.Input, got, v.Hash)
		}
	}
}

func TestRecordedTopologies(t *testing.T) {
	for _, v := range loadVectors(t).Topology {
		t.Run(fmt.Sprintf("%d by %d", len(v.Peers), v.CellSize), func(t *testing.T) {
			var ids []string
			for _, p := range v.Peers {
				ids = append(ids, p.ID)
			}
			top := New(v.CellSize, ids...)
			if top.Cells() != v.Cells || top.TTL() != v.TTL || top.Len() != len(ids) || top.Size() != v.CellSize {
				t.Errorf("%d cells, ttl %d, want %d, %d", top.Cells(), top.TTL(), v.Cells, v.TTL)
			}
			known := 0
			for c, n := range v.Sizes {
				if got := len(top.Members(c)); got != n {
					t.Errorf("cell %d has %d members, want %d", c, got, n)
				}
				if n > 0 {
					known++
				}
			}
			if top.Known() != known {
				t.Errorf("%d cells known, want %d", top.Known(), known)
			}
			for _, p := range v.Peers {
				r := top.Role(p.ID)
				got := recordedPeer{p.ID, Name(top.Cell(p.ID)), r.Bridge, top.Bridges(p.ID), r.Links}
				if fmt.Sprint(got) != fmt.Sprint(p) {
					t.Errorf("%v, want\n%v", got, p)
				}
			}
		})
	}
}

// What pages sent is understood, and written again to the same bytes.
func TestRecordedFrames(t *testing.T) {
	for _, v := range loadVectors(t).Frames {
		f, err := Decode([]byte(v.Text))
		if err != nil {
			t.Fatalf("%s: %v", v.Step, err)
		}
		if got := string(f.Append(nil)); got != v.Text {
			t.Errorf("%s: %s, want\n%s", v.Step, got, v.Text)
		}
		if cell, ok := ParseChannel(v.Channel); !ok || cell != f.OriginCell {
			t.Errorf("%s: from cell %d on %s", v.Step, f.OriginCell, v.Channel)
		}
		data := f.Data
		if m, ok := f.Message(); ok && m.Data != nil && !slices.Contains([]string{"chan u8+meta"}, v.Step) {
			data = AppendMessage(nil, m) // bytes were sent with a _t of null
		}
		if p, ok := f.Ping(); ok {
			data = AppendPing(nil, p)
		}
		if p, ok := f.Pong(); ok {
			data = AppendPong(nil, p)
		}
		if string(data) != string(f.Data) {
			t.Errorf("%s: data %s, want %s", v.Step, data, f.Data)
		}
	}
}

// The pages of a room of 14 in 7 cells, cell 2 empty, sent a frame to those who are in our
// audiences too, as far as they were linked.
func TestRecordedForwarding(t *testing.T) {
	v := loadVectors(t)
	room := v.Topology[slices.IndexFunc(v.Topology, func(r recordedRoom) bool { return len(r.Peers) == 14 })]
	var ids []string
	for _, p := range room.Peers {
		ids = append(ids, p.ID)
	}
	top := New(room.CellSize, ids...)
	// Pages are known by their cells and whether they are bridges; those who are not and
	// share a cell are alike.
	kind := func(id string) string { return fmt.Sprint(Name(top.Cell(id)), top.IsBridge(id)) }
	for _, row := range v.Forwarding {
		from := fmt.Sprint(row.From.Cell, row.From.Bridge)
		i := slices.IndexFunc(ids, func(id string) bool { return kind(id) == from })
		role := top.Role(ids[i])
		cell, _ := ParseChannel(row.Channel)
		audience, ok := role.Audience[cell]
		if !ok {
			t.Errorf("%s has no audience on %s", from, row.Channel)
		}
		want := map[string]int{}
		for _, id := range audience {
			if role.Keeps(id) {
				want[kind(id)]++
			}
		}
		got := map[string]int{}
		for _, p := range row.To {
			got[fmt.Sprint(p.Cell, p.Bridge)]++
		}
		for k, n := range got {
			if n > want[k] {
				t.Errorf("%s sent on %s to %d of %s, we to %d", from, row.Channel, n, k, want[k])
			}
		}
		// Some of the links were missing in that room, but few.
		missing := 0
		for k, n := range want {
			missing += n - got[k]
		}
		if missing > 2 {
			t.Errorf("%s sent on %s to %v, we to %v", from, row.Channel, got, want)
		}
	}
}

// A page in cell 0 of 1 delivered to its application what we read from frames.
func TestRecordedAcceptance(t *testing.T) {
	const origin, self = "FFFFFFFFFFFFFFFFFF01", "lxnofZLNXNBbAwG2A4TY"
	frame := func(t, id, rest string, data string) string {
		return `{"t":"` + t + `","id":"` + id + `",` + rest + `"data":` + data + `}`
	}
	const from = `"origin":"` + origin + `",`
	sent := map[string]string{ // on c0, but for "c1"
		"before seal":    frame("msg", "a:1", `"ttl":5,"originCell":"cell-0",`+from, `{"_ch":"chat","_d":{"n":1}}`),
		"c0 tag1":        frame("msg", "a:2", `"ttl":5,"originCell":"cell-0",`+from, `{"_ch":"chat","_d":{"n":2}}`),
		"c0 tag9":        frame("msg", "a:3", `"ttl":5,"originCell":"cell-0",`+from, `{"_ch":"chat","_d":{"n":3}}`),
		"dup id":         frame("msg", "a:4", `"ttl":5,"originCell":"cell-0",`+from, `{"_ch":"chat","_d":{"n":4}}`),
		"ttl 0":          frame("msg", "a:5", `"ttl":0,"originCell":"cell-0",`+from, `{"_ch":"chat","_d":{"n":5}}`),
		"no ttl":         frame("msg", "a:6", `"originCell":"cell-0",`+from, `{"_ch":"chat","_d":{"n":6}}`),
		"no originCell":  frame("msg", "a:7", `"ttl":5,`+from, `{"_ch":"chat","_d":{"n":7}}`),
		"origin other":   frame("msg", "a:8", `"ttl":5,"originCell":"cell-0","origin":"someoneelse",`, `{"_ch":"chat","_d":{"n":8}}`),
		"mesh.send like": frame("msg", "a:9", `"ttl":5,`+from, `{"plain":1}`),
		"_t me":          frame("msg", "a:10", `"ttl":5,`+from, `{"_ch":"chat","_d":"t","_t":["`+self+`"]}`),
		"_t other":       frame("msg", "a:11", `"ttl":5,`+from, `{"_ch":"chat","_d":"t","_t":["other"]}`),
		"_t string":      frame("msg", "a:12", `"ttl":5,`+from, `{"_ch":"chat","_d":"t","_t":"`+self+`"}`),
		"c1":             frame("msg", "a:13", `"ttl":5,`+from, `{"_ch":"chat","_d":{"n":13}}`),
		"odd id":         frame("msg", "x", `"ttl":5,`+from, `{"_ch":"chat","_d":{"n":14}}`),
		"unknown t":      frame("wat", "a:16", `"ttl":5,`+from, `{"_ch":"chat","_d":{"n":16}}`),
	}
	v := loadVectors(t)
	delete(v.Acceptance, "direct chat") // no frame of the mesh
	role, seen := New(DefaultSize, origin, self).Role(self), &Seen{}
	for _, step := range slices.Sorted(maps.Keys(v.Acceptance)) {
		f, err := Decode([]byte(sent[step]))
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		cell := 0
		if step == "c1" {
			cell = 1
		}
		got := [][]any{}
		if _, hears := role.Audience[cell]; hears && f.Kind == KindMsg && seen.Add(f.ID) && !seen.Add(f.ID) {
			m, ok := f.Message()
			if ok && (m.All || slices.Contains(m.To, self)) {
				got = append(got, []any{m.Channel, m.Data, f.Origin, nil})
			}
			got = append(got, []any{"mesh", f.Data, f.Origin})
		}
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(v.Acceptance[step])
		if string(g) != string(w) {
			t.Errorf("%s: %s, want\n%s", step, g, w)
		}
	}
}
