package frame

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"testing"
)

// vectors are frames that GenosDB 0.25.0 sent, recorded on its data channels.
//
//go:embed testdata/vectors.json
var vectors []byte

type recorded struct {
	Channel    string
	Nonce      byte
	Tag        byte
	Progress   byte
	FrameLen   int
	Hex        string  // the frame, unless it was too long to be kept
	SHA256     string  // of such a frame
	Text       *string // the payload, inflated, if it is text or JSON
	First64Hex string
}

func loadVectors(t *testing.T) (frames, multiChunk [][]recorded, names []string) {
	t.Helper()
	var v struct {
		Frames []struct {
			Sent   string
			Frames []recorded
		}
		MultiChunk []struct {
			Sent   string
			Chunks []recorded
		}
	}
	if err := json.Unmarshal(vectors, &v); err != nil {
		t.Fatal(err)
	}
	for _, f := range v.Frames {
		frames, names = append(frames, f.Frames), append(names, f.Sent)
	}
	for _, f := range v.MultiChunk {
		multiChunk, names = append(multiChunk, f.Chunks), append(names, f.Sent)
	}
	return frames, multiChunk, names
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every recorded frame is understood, and what it says is encoded to the same
// bytes; where it is compressed, to other bytes that say the same.
func TestRecordedFrames(t *testing.T) {
	frames, _, names := loadVectors(t)
	for i, sent := range frames {
		t.Run(names[i], func(t *testing.T) {
			r := NewReassembler(Limits{})
			var message [][]byte // frames of the message under way
			for _, f := range sent {
				if f.Hex == "" {
					t.Logf("%d bytes, only their hash was kept", f.FrameLen)
					continue
				}
				b := unhex(t, f.Hex)
				message = append(message, b)
				m, _, err := r.Push(b)
				if err != nil {
					t.Fatal(err)
				}
				if (m != nil) != (f.Tag&tagLast != 0) {
					t.Fatalf("complete: %v with tag %#x", m != nil, f.Tag)
				}
				if m == nil {
					continue
				}
				if m.Channel != f.Channel {
					t.Errorf("channel %q, want %q", m.Channel, f.Channel)
				}
				if f.Tag&tagBinary == 0 && len(*f.Text) == len(m.Content.Data) && *f.Text != string(m.Content.Data) {
					t.Errorf("text %q, want %q", m.Content.Data, *f.Text)
				}
				again, err := Encode(m.Channel, f.Nonce, m.Content)
				if err != nil {
					t.Fatal(err)
				}
				if f.Tag&tagZlib == 0 {
					equalFrames(t, again, message)
				} else {
					if len(again[0]) > f.FrameLen+f.FrameLen/8 {
						t.Errorf("%d bytes, the browser needs %d", len(again[0]), f.FrameLen)
					}
					equalContent(t, pushAll(t, r, again).Content, m.Content)
				}
				message = nil
			}
			if r.Pending() != 0 {
				t.Errorf("%d bytes pending", r.Pending())
			}
		})
	}
}

// Of a frame of 2,048 zero bytes the hash was kept.
func TestRecordedHash(t *testing.T) {
	frames, _, names := loadVectors(t)
	for i, sent := range frames {
		if names[i] != "u8-2k zeros" {
			continue
		}
		got, err := Encode("chat", sent[0].Nonce, Content{Kind: Binary, Data: make([]byte, 2048)})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(got[0])
		if hex.EncodeToString(sum[:]) != sent[0].SHA256 {
			t.Errorf("frame %x... differs", got[0][:HeaderSize])
		}
		return
	}
	t.Fatal("no such vector")
}

// Of messages of several chunks headers and sizes were kept.
func TestRecordedHeaders(t *testing.T) {
	frames, multiChunk, _ := loadVectors(t)
	for _, sent := range frames {
		if len(sent) == 1 && sent[0].Hex == "" && sent[0].Tag&tagZlib == 0 {
			multiChunk = append(multiChunk, sent)
		}
	}
	for _, sent := range multiChunk {
		c := Content{Kind: Binary}
		for _, f := range sent {
			if f.Tag&tagMeta != 0 {
				c.Meta = unhex(t, f.Hex)[HeaderSize:]
			} else {
				c.Data = append(c.Data, make([]byte, f.FrameLen-HeaderSize)...)
			}
		}
		got, err := Encode(sent[0].Channel, sent[0].Nonce, c)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(sent) {
			t.Fatalf("%d frames, want %d", len(got), len(sent))
		}
		for i, f := range sent {
			header := f.First64Hex + f.Hex
			if want := unhex(t, header)[:HeaderSize]; !bytes.Equal(got[i][:HeaderSize], want) || len(got[i]) != f.FrameLen {
				t.Errorf("chunk %d: header %x, %d bytes; want %x, %d", i, got[i][:HeaderSize], len(got[i]), want, f.FrameLen)
			}
		}
	}
}
