package frame

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestEncodeLimits(t *testing.T) {
	noise := incompressible(MaxChunks*MaxPayload + 1)
	full := noise[:MaxChunks*MaxPayload]
	for name, test := range map[string]struct {
		channel string
		content Content
		frames  int
		err     error
	}{
		"100 chunks":             {"c", Content{Kind: Binary, Data: full}, 100, nil},
		"one byte more":          {"c", Content{Kind: Binary, Data: noise}, 0, ErrTooLarge},
		"100 chunks and meta":    {"c", Content{Kind: Binary, Data: full, Meta: []byte("1")}, 0, ErrTooLarge},
		"99 chunks and meta":     {"c", Content{Kind: Binary, Data: full[MaxPayload:], Meta: []byte("1")}, 100, nil},
		"meta of one frame":      {"c", Content{Kind: Binary, Meta: full[:MaxPayload]}, 2, nil},
		"meta of more":           {"c", Content{Kind: Binary, Meta: full[:MaxPayload+1]}, 0, ErrTooLarge},
		"meta elsewhere":         {"c", Content{Kind: JSON, Data: []byte("1"), Meta: full}, 1, nil},
		"text that shrinks":      {"c", Content{Data: []byte(strings.Repeat("x", 5_000_000))}, 1, nil},
		"text that does not":     {"c", Content{Data: noise}, 0, ErrTooLarge},
		"nothing":                {"c", Content{}, 1, nil},
		"no bytes":               {"c", Content{Kind: Binary}, 1, nil},
		"name of 12 bytes":       {"twelve_bytes", Content{}, 1, nil},
		"name of 13 bytes":       {"thirteen_byte", Content{}, 0, ErrName},
		"name of 12 bytes UTF-8": {"ñandúñandú", Content{}, 0, ErrName}, // 14 bytes
		"no name":                {"", Content{}, 0, ErrName},
		"name with a zero byte":  {"a\x00b", Content{}, 0, ErrName},
		"name not UTF-8":         {"a\xff", Content{}, 0, ErrName},
	} {
		t.Run(name, func(t *testing.T) {
			frames, err := Encode(test.channel, 0, test.content)
			if !errors.Is(err, test.err) || len(frames) != test.frames {
				t.Fatalf("%d frames, %v; want %d, %v", len(frames), err, test.frames, test.err)
			}
			for i, b := range frames {
				if len(b) > MaxFrame {
					t.Errorf("frame %d has %d bytes", i, len(b))
				}
				if cap(b) != len(b) {
					t.Errorf("frame %d can be appended to over the next one", i)
				}
			}
		})
	}
}

// What does not shrink is not sent compressed.
func TestEncodeCompressesForGainOnly(t *testing.T) {
	for name, test := range map[string]struct {
		data []byte
		tag  byte
	}{
		"511 bytes":     {[]byte(strings.Repeat("a", CompressFrom-1)), tagLast},
		"512 bytes":     {[]byte(strings.Repeat("a", CompressFrom)), tagLast | tagZlib},
		"512 of noise":  {incompressible(CompressFrom), tagLast},
		"16 kB of that": {incompressible(MaxPayload), tagLast},
	} {
		frames, err := Encode("c", 0, Content{Data: test.data})
		if err != nil || len(frames) != 1 || frames[0][atTag] != test.tag {
			t.Errorf("%s: %d frames, tag %#x, %v; want tag %#x", name, len(frames), frames[0][atTag], err, test.tag)
		}
	}
}

// The progress byte is what JavaScript's Math.round gives.
func TestEncodeProgress(t *testing.T) {
	for chunks := 1; chunks <= MaxChunks; chunks++ {
		frames, err := Encode("c", 0, Content{Kind: Binary, Data: make([]byte, chunks*MaxPayload)})
		if err != nil || len(frames) != chunks {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		for i, b := range frames {
			if want := math.Floor(255*float64(i+1)/float64(chunks) + 0.5); float64(b[atProgress]) != want {
				t.Errorf("chunk %d of %d: %d, want %v", i+1, chunks, b[atProgress], want)
			}
		}
	}
}

// What is dense takes fewer bytes, and says the same.
func TestEncodeDense(t *testing.T) {
	var data []byte
	for n := range 5_000 {
		data = fmt.Appendf(data, "%d:{\"word\":%q,\"number\":%d},", n, strings.Repeat(string(rune('a'+n%23)), n%9), n*n)
	}
	content := Content{Kind: Text, Data: data}
	size := func(frames [][]byte, err error) (size int) {
		if err != nil {
			t.Fatal(err)
		}
		r := NewReassembler(Limits{})
		for i, f := range frames {
			size += len(f)
			m, _, err := r.Push(f)
			if err != nil || (m != nil) != (i == len(frames)-1) || m != nil && !bytes.Equal(m.Content.Data, data) {
				t.Fatalf("frame %d of %d: %v", i, len(frames), err)
			}
		}
		return size
	}
	if fast, dense := size(Encode("chat", 1, content)), size(EncodeDense("chat", 1, content)); dense >= fast {
		t.Errorf("dense %d bytes, fast %d", dense, fast)
	}
}
