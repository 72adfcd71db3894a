package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"
	"pgregory.net/rapid"
)

// incompressible returns bytes that deflate makes nothing of.
func incompressible(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, random.Uint64())
	}
	return b[:n]
}

func deflated(t testing.TB, level int, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err == nil {
		_, err = w.Write(data)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// drawContent draws sizes near the edges: empty, where compression begins,
// where a chunk is full.
func drawContent(t *rapid.T) Content {
	c := Content{Kind: rapid.SampledFrom([]Kind{Text, JSON, Binary}).Draw(t, "kind")}
	size := rapid.SampledFrom([]int{0, 1, CompressFrom, MaxPayload, 2 * MaxPayload, 5 * MaxPayload}).Draw(t, "size")
	size = max(0, size+rapid.IntRange(-2, 2).Draw(t, "difference"))
	c.Data = incompressible(size)
	if c.Kind != Binary {
		alphabet := rapid.SampledFrom([]string{"a", "ab{}[]:,0123456789", "aäöü€"}).Draw(t, "alphabet")
		letters := []rune(alphabet)
		text := make([]rune, size)
		for i, b := range c.Data {
			text[i] = letters[int(b)%len(letters)]
		}
		c.Data = []byte(string(text))
	}
	if c.Kind == JSON {
		c.Data = []byte(`["` + string(c.Data) + `"]`)
	}
	if c.Kind == Binary && rapid.Bool().Draw(t, "has meta") {
		c.Meta = rapid.SampledFrom([][]byte{[]byte(`null`), []byte(`{"name":"ä.png"}`)}).Draw(t, "meta")
	}
	return c
}

// Whatever messages are under way at once, each arrives as it was sent, with
// its last frame, and nothing stays behind.
func TestRoundTripInterleaved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sending struct {
			channel  string
			content  Content
			frames   [][]byte
			progress float64
		}
		var under []*sending
		nonces := map[string]byte{}
		for range rapid.IntRange(1, 6).Draw(t, "messages") {
			s := &sending{
				channel: rapid.SampledFrom([]string{"a", "b", "twelve_bytes", "ñandú"}).Draw(t, "channel"),
				content: drawContent(t),
			}
			var err error
			if s.frames, err = Encode(s.channel, nonces[s.channel], s.content); err != nil {
				t.Fatal(err)
			}
			nonces[s.channel]++
			under = append(under, s)
		}
		r := NewReassembler(Limits{})
		for len(under) > 0 {
			i := rapid.IntRange(0, len(under)-1).Draw(t, "next")
			s := under[i]
			b := bytes.Clone(s.frames[0])
			m, p, err := r.Push(b)
			for j := range b {
				b[j] = 0xff // Push has kept nothing of it
			}
			if err != nil {
				t.Fatal(err)
			}
			s.frames = s.frames[1:]
			if p != nil {
				if p.Channel != s.channel || p.Fraction <= s.progress || (p.Fraction == 1) != (len(s.frames) == 0) {
					t.Fatalf("progress %v after %v, %d frames are missing", p, s.progress, len(s.frames))
				}
				if !bytes.Equal(p.Meta, s.content.Meta) {
					t.Fatalf("meta %q, want %q", p.Meta, s.content.Meta)
				}
				s.progress = p.Fraction
			}
			if (m != nil) != (len(s.frames) == 0) {
				t.Fatalf("complete is %v, %d frames are missing", m != nil, len(s.frames))
			}
			if m == nil {
				continue
			}
			if m.Channel != s.channel || m.Content.Kind != s.content.Kind ||
				!bytes.Equal(m.Content.Data, s.content.Data) || !bytes.Equal(m.Content.Meta, s.content.Meta) {
				t.Fatalf("message on %q differs from what was sent on %q", m.Channel, s.channel)
			}
			under = append(under[:i], under[i+1:]...)
		}
		if r.Pending() != 0 || len(r.partials) != 0 || r.Stale() != 0 {
			t.Fatalf("%d bytes, %d partials, %d stale", r.Pending(), len(r.partials), r.Stale())
		}
	})
}

// Nothing of this makes a message, and nothing of it stays or does harm.
func TestBadFrames(t *testing.T) {
	sound := deflated(t, zlib.DefaultCompression, []byte("some text"))
	for name, test := range map[string]struct {
		frame []byte
		err   error
	}{
		"empty":                  {nil, ErrShort},
		"header cut off":         {raw("c", 0, tagLast, 255, "")[:HeaderSize-1], ErrShort},
		"too long":               {raw("c", 0, tagLast, 255, strings.Repeat("x", MaxReceived-HeaderSize+1)), ErrLong},
		"no name":                {raw("", 0, tagLast, 255, "x"), ErrName},
		"zero byte in the name":  {raw("a\x00b", 0, tagLast, 255, "x"), ErrName},
		"name not UTF-8":         {raw("\xc3", 0, tagLast, 255, "x"), ErrName},
		"no JSON":                {raw("c", 0, tagLast|tagJSON, 255, ""), ErrJSON},
		"bad JSON":               {raw("c", 0, tagLast|tagJSON, 255, "{"), ErrJSON},
		"two JSON values":        {raw("c", 0, tagLast|tagJSON, 255, "1 2"), ErrJSON},
		"deep JSON":              {raw("c", 0, tagLast|tagJSON, 255, strings.Repeat("[", 100_000)), ErrJSON},
		"bad meta":               {raw("c", 0, tagMeta|tagBinary|tagJSON, 128, "{"), ErrMeta},
		"meta not UTF-8":         {raw("c", 0, tagMeta|tagBinary|tagJSON, 128, "\"\xff\""), ErrMeta},
		"bad meta as last chunk": {raw("c", 0, tagLast|tagMeta|tagBinary, 255, "{"), ErrMeta},
		"nothing compressed":     {raw("c", 0, tagLast|tagZlib, 255, ""), ErrZlib},
		"bad zlib header":        {raw("c", 0, tagLast|tagZlib, 255, "\xff\xff\xff"), ErrZlib},
		"zlib dictionary":        {raw("c", 0, tagLast|tagZlib, 255, "\x78\xbb\x00\x00\x00\x00"), ErrZlib},
		"bad deflate":            {raw("c", 0, tagLast|tagZlib, 255, "\x78\x9c\xff\xff"), ErrZlib},
		"zlib cut off":           {raw("c", 0, tagLast|tagZlib, 255, sound[:len(sound)-5]), ErrZlib},
		"zlib checksum cut off":  {raw("c", 0, tagLast|tagZlib, 255, sound[:len(sound)-1]), ErrZlib},
		"zlib checksum wrong":    {raw("c", 0, tagLast|tagZlib, 255, sound[:len(sound)-1]+"!"), ErrZlib},
		"zlib without its bit":   {raw("c", 0, tagLast|tagJSON, 255, sound), ErrJSON},
		"bad JSON, compressed":   {raw("c", 0, tagLast|tagJSON|tagZlib, 255, sound), ErrJSON},
		"first chunk far along":  {raw("c", 0, 0, 200, "x"), ErrProgress},
		"first of 255 chunks":    {raw("c", 0, 0, 1, "x"), ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReassembler(Limits{})
			other := split("other", 0, "y", 2)
			if _, p, err := r.Push(other[0]); p == nil || err != nil {
				t.Fatal(p, err)
			}
			m, p, err := r.Push(test.frame)
			if m != nil || p != nil || !errors.Is(err, test.err) {
				t.Errorf("message %v, progress %v, %v; want %v", m, p, err, test.err)
			}
			if r.Pending() != 1 {
				t.Errorf("%d bytes pending", r.Pending())
			}
			if m := pushAll(t, r, [][]byte{raw("c", 1, tagLast, 255, "fine")}); string(m.Content.Data) != "fine" {
				t.Errorf("then: %q", m.Content.Data)
			}
			if m, _, err := r.Push(other[1]); m == nil || string(m.Content.Data) != "yy" {
				t.Errorf("then: %v, %v", m, err)
			}
		})
	}
}

// What senders may do although browsers do not, or rarely.
func TestTolerated(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, test := range map[string]struct {
		frames [][]byte
		want   Content
	}{
		"a frame above 16 KiB":       {[][]byte{raw("c", 0, tagLast, 255, long)}, Content{Data: []byte(long)}},
		"the largest frame":          {[][]byte{raw("c", 0, tagLast|tagBinary, 255, string(make([]byte, MaxReceived-HeaderSize)))}, Content{Kind: Binary, Data: make([]byte, MaxReceived-HeaderSize)}},
		"unknown tag bits":           {[][]byte{raw("c", 0, tagLast|0xe0, 255, "x")}, Content{Data: []byte("x")}},
		"a lone chunk's progress":    {[][]byte{raw("c", 0, tagLast, 0, "x")}, Content{Data: []byte("x")}},
		"binary without JSON bit":    {[][]byte{raw("c", 0, tagLast|tagBinary, 255, "x")}, Content{Kind: Binary, Data: []byte("x")}},
		"compressed binary":          {[][]byte{raw("c", 0, tagLast|tagBinary|tagZlib, 255, deflated(t, zlib.BestSpeed, []byte("x")))}, Content{Kind: Binary, Data: []byte("x")}},
		"nothing, compressed":        {[][]byte{raw("c", 0, tagLast|tagZlib, 255, deflated(t, zlib.BestCompression, nil))}, Content{}},
		"bytes after the zlib end":   {[][]byte{raw("c", 0, tagLast|tagZlib, 255, deflated(t, zlib.BestSpeed, []byte("x"))+"junk")}, Content{Data: []byte("x")}},
		"text that is not UTF-8":     {[][]byte{raw("c", 0, tagLast, 255, "a\xffb")}, Content{Data: []byte("a\uFFFDb")}},
		"JSON that is not UTF-8":     {[][]byte{raw("c", 0, tagLast|tagJSON, 255, "\"\xff\"")}, Content{Kind: JSON, Data: []byte("\"\uFFFD\"")}},
		"bits of the last chunk":     {[][]byte{raw("c", 0, tagBinary, 128, "1"), raw("c", 0, tagLast|tagJSON, 255, "2")}, Content{Kind: JSON, Data: []byte("12")}},
		"UTF-8 cut between chunks":   {[][]byte{raw("c", 0, 0, 128, "\xc3"), raw("c", 0, tagLast, 255, "\xa4")}, Content{Data: []byte("ä")}},
		"empty chunks":               {[][]byte{raw("c", 0, 0, 85, ""), raw("c", 0, 0, 170, "x"), raw("c", 0, tagLast, 255, "")}, Content{Data: []byte("x")}},
		"meta beside text":           {[][]byte{raw("c", 0, tagMeta, 128, "1"), raw("c", 0, tagLast, 255, "x")}, Content{Data: []byte("x"), Meta: []byte("1")}},
		"meta after data":            {[][]byte{raw("c", 0, tagBinary, 85, "x"), raw("c", 0, tagMeta, 170, "1"), raw("c", 0, tagLast|tagBinary, 255, "y")}, Content{Kind: Binary, Data: []byte("xy"), Meta: []byte("1")}},
		"meta as the only chunk":     {[][]byte{raw("c", 0, tagLast|tagMeta|tagBinary, 255, "1")}, Content{Kind: Binary, Meta: []byte("1")}},
		"meta as the last chunk":     {[][]byte{raw("c", 0, tagBinary, 128, "x"), raw("c", 0, tagLast|tagMeta|tagBinary, 255, "1")}, Content{Kind: Binary, Data: []byte("x"), Meta: []byte("1")}},
		"compressed over two chunks": {[][]byte{raw("c", 0, 0, 128, "\x78\x9c\x4b\x4c\x1c"), raw("c", 0, tagLast|tagZlib, 255, "\x05\x23\x19\x00\x00\x6e\x5e\xc2\x01")}, Content{Data: []byte(strings.Repeat("a", 512))}},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReassembler(Limits{})
			equalContent(t, pushAll(t, r, test.frames).Content, test.want)
			if r.Pending() != 0 || len(r.partials) != 0 {
				t.Errorf("%d bytes, %d partials", r.Pending(), len(r.partials))
			}
		})
	}
}

// A compressed message costs no more memory than the limit, however large it
// claims to be.
func TestInflationIsBounded(t *testing.T) {
	const limit = 1 << 20
	bomb := deflated(t, zlib.BestSpeed, make([]byte, 32*limit))
	var frames [][]byte
	for rest, chunks := bomb, (len(bomb)+MaxPayload-1)/MaxPayload; rest != ""; {
		n := min(len(rest), MaxPayload)
		var tag byte
		if n == len(rest) {
			tag = tagLast | tagZlib
		}
		frames = append(frames, raw("c", 0, tag, byte(255*(len(frames)+1)/chunks), rest[:n]))
		rest = rest[n:]
	}
	r := NewReassembler(Limits{Inflated: limit})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var err error
	for _, b := range frames {
		var m *Message
		if m, _, err = r.Push(b); m != nil {
			t.Fatal("the bomb went off")
		}
	}
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrInflated) {
		t.Errorf("%v, want %v", err, ErrInflated)
	}
	if cost := after.TotalAlloc - before.TotalAlloc; cost > 2*limit {
		t.Errorf("%d bytes were allocated", cost)
	}
	for size, want := range map[int]error{limit: nil, limit + 1: ErrInflated} {
		m, _, err := r.Push(raw("c", 0, tagLast|tagZlib, 255, deflated(t, zlib.BestSpeed, make([]byte, size))))
		if !errors.Is(err, want) || m != nil && len(m.Content.Data) != size {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}
