package frame

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// raw builds a frame by hand.
func raw(channel string, nonce, tag, progress byte, chunk string) []byte {
	b := make([]byte, HeaderSize, HeaderSize+len(chunk))
	copy(b, channel)
	b[atNonce], b[atTag], b[atProgress] = nonce, tag, progress
	return append(b, chunk...)
}

// split makes a text of as many chunks, with one letter each.
func split(channel string, nonce byte, letter string, chunks int) [][]byte {
	frames := make([][]byte, chunks)
	for i := range frames {
		var tag byte
		if i == chunks-1 {
			tag = tagLast
		}
		frames[i] = raw(channel, nonce, tag, byte((2*255*(i+1)+chunks)/(2*chunks)), letter)
	}
	return frames
}

func equalFrames(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("frame %d:\n%x, want\n%x", i, got[i], want[i])
		}
	}
}

func equalContent(t testing.TB, got, want Content) {
	t.Helper()
	if got.Kind != want.Kind || !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Meta, want.Meta) {
		t.Errorf("kind %d, %d bytes, meta %q; want kind %d, %d bytes, meta %q",
			got.Kind, len(got.Data), got.Meta, want.Kind, len(want.Data), want.Meta)
	}
}

// pushAll pushes the frames of one message and returns it.
func pushAll(t testing.TB, r *Reassembler, frames [][]byte) *Message {
	t.Helper()
	for i, b := range frames {
		m, p, err := r.Push(b)
		if err != nil {
			t.Fatalf("frame %d of %d: %v", i+1, len(frames), err)
		}
		if last := i == len(frames)-1; (m != nil) != last {
			t.Fatalf("frame %d of %d: complete is %v", i+1, len(frames), m != nil)
		} else if (p != nil) != (len(frames) > 1) || p != nil && (p.Fraction == 1) != last {
			t.Fatalf("frame %d of %d: progress %v", i+1, len(frames), p)
		} else if last {
			return m
		}
	}
	return nil
}
