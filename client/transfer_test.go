package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// memory is a file in memory.
type memory struct {
	mu sync.Mutex
	b  []byte
}

func (m *memory) WriteAt(p []byte, offset int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b = slices.Grow(m.b[:offset], len(p))[:int(offset)+len(p)]
	return copy(m.b[offset:], p), nil
}

func (m *memory) ReadAt(p []byte, offset int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, offset)
}

func payload(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// TestUploadGoesOn has a server that stores what comes, acknowledges a part of
// it, cuts the connection, and after it wants less than it had acknowledged.
func TestUploadGoesOn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := payload(rapid.IntRange(0, 1<<20).Draw(rt, "size"))
		cuts := rapid.SliceOfN(rapid.IntRange(0, 12), 0, 4).Draw(rt, "chunks before the cuts")
		backwards := rapid.Int64Range(0, 100_000).Draw(rt, "backwards")
		synctest.Test(t, func(t *testing.T) {
			var stored memory
			var have, sent, acked int64
			s := serve(t, func(n int, c *served) {
				c.welcome(frame{Resumed: n > 1})
				f := c.expect(opBegin)
				if f.Transfer != 7 || *f.Size != int64(len(b)) || f.Kind != KindBytes || f.offset() > acked {
					t.Errorf("begin: %+v", f)
				}
				have = max(0, have-backwards)
				c.say(&frame{Op: opBegin, Transfer: 7, Offset: new(have)})
				for chunk := 0; ; chunk++ {
					if n <= len(cuts) && chunk == cuts[n-1] {
						return
					}
					f := c.next()
					if f.Op == opEnd {
						if have != int64(len(b)) || f.Hash != hashOf(b) || f.Offset != nil {
							t.Errorf("end at %d: %+v", have, f)
						}
						c.say(&frame{Op: opEnd, Transfer: 7})
						c.next()
					}
					p := f.Data.v.([]byte)
					if f.Op != opChunk || f.offset() != have || len(p) > 64<<10 || have+int64(len(p)) > acked+256<<10 {
						t.Errorf("%s at %d of %d bytes, after %d, %d acknowledged", f.Op, f.offset(), len(p), have, acked)
					}
					stored.WriteAt(p, have)
					sent += int64(len(p))
					have += int64(len(p))
					if have > acked && (chunk%3 == 2 || have == int64(len(b))) {
						acked = have
						c.say(&frame{Op: opAck, Transfer: 7, Offset: new(have)})
					}
				}
			}, nil)
			defer s.close()
			r, err := s.dial(Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			last := int64(0)
			u, err := r.SendReader("file", bytes.NewReader(b), int64(len(b)), Outgoing{ID: 7, Progress: func(n int64) {
				if n <= last || n > int64(len(b)) {
					t.Errorf("progress %d after %d", n, last)
				}
				last = n
			}})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := u.Wait(t.Context()); err != nil || !bytes.Equal(stored.b, b) || u.Acked() != int64(len(b)) {
				t.Errorf("%v; %d bytes", err, len(stored.b))
			}
			if twice := sent - int64(len(b)); twice > int64(len(cuts))*(backwards+256<<10) {
				t.Errorf("%d bytes were sent twice", twice)
			}
		})
	})
}

// TestDownloadGoesOn has a server that sends as a recipient's offset says, and
// cuts the connection.
func TestDownloadGoesOn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := payload(rapid.IntRange(0, 1<<20).Draw(rt, "size"))
		cuts := rapid.SliceOfN(rapid.IntRange(0, 12), 0, 4).Draw(rt, "chunks before the cuts")
		size := rapid.IntRange(1, 64<<10).Draw(rt, "chunk size") | 1<<12
		killed := rapid.Bool().Draw(rt, "another process goes on")
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan struct{})
			s := serve(t, func(n int, c *served) {
				c.welcome(frame{Resumed: n > 1})
				about := frame{Transfer: 3, From: "other"}
				begin, end := about, about
				begin.Op, begin.Channel, begin.Kind, begin.Size = opBegin, "file", KindBytes, new(int64(len(b)))
				end.Op, end.Hash = opEnd, hashOf(b)
				c.say(&begin)
				f := c.expect(opBegin)
				next, acked := int(f.offset()), int(f.offset())
				wrong := about
				wrong.Op, wrong.Offset, wrong.Data = opChunk, new(int64(next+1)), &data{[]byte("x")}
				c.say(&wrong) // is ignored
				for chunk := 0; next < len(b); chunk++ {
					if n <= len(cuts) && chunk == cuts[n-1] {
						return
					}
					p := b[next:min(next+size, len(b))]
					f := about
					f.Op, f.Offset, f.Data = opChunk, new(int64(next)), &data{p}
					c.say(&f)
					next += len(p)
					for next-acked >= 64<<10 || next == len(b) && acked < next {
						acked = int(c.expect(opAck).offset())
					}
				}
				c.say(&end)
				c.expect(opEnd)
				c.say(&begin) // as after a resumption, once more
				c.expect(opEnd)
				close(ended)
				c.next()
			}, nil)
			defer s.close()
			var store memory
			done := make(chan error, 10)
			o := Options{Accept: func(in Incoming) (Sink, error) {
				if in.From != "other" || in.ID != 3 || in.Size != int64(len(b)) {
					t.Errorf("%+v", in)
				}
				return Sink{Store: &store, Offset: int64(len(store.b)), Done: func(err error) { done <- err }}, nil
			}}
			r, err := s.dial(o)
			if err != nil {
				t.Error(err)
				return
			}
			if killed {
				time.Sleep(400 * time.Millisecond)
				if r.Close(); len(done) > 0 {
					if err := <-done; err == nil {
						return // it was faster
					}
				}
				if r, err = s.dial(o); err != nil {
					t.Error(err)
					return
				}
			}
			defer r.Close()
			if err := <-done; err != nil || !bytes.Equal(store.b, b) {
				t.Errorf("%v; %d bytes of %d", err, len(store.b), len(b))
			}
			<-ended
		})
	})
}

func TestTransferFailures(t *testing.T) {
	begin := func(id uint64) *frame {
		return &frame{Op: opBegin, Transfer: id, From: "other", Channel: "file", Kind: KindBytes, Size: new(int64(3))}
	}
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, func(_ int, c *served) {
			c.welcome(frame{})
			// a wrong hash
			c.say(begin(1))
			c.expect(opBegin)
			c.say(&frame{Op: opChunk, Transfer: 1, From: "other", Offset: new(int64), Data: &data{[]byte("abc")}})
			c.say(&frame{Op: opEnd, Transfer: 1, From: "other", Hash: hashOf([]byte("abd"))})
			if f := c.expect(opCancel); f.Reason != "corrupt" || f.From != "other" || f.Transfer != 1 {
				t.Errorf("%+v", f)
			}
			// too many bytes
			c.say(begin(2))
			c.expect(opBegin)
			c.say(&frame{Op: opChunk, Transfer: 2, From: "other", Offset: new(int64), Data: &data{[]byte("abcd")}})
			c.expect(opCancel)
			// cancelled
			c.say(begin(3))
			c.expect(opBegin)
			c.say(&frame{Op: opCancel, Transfer: 3, From: "other", Reason: "gone"})
			// not wanted
			c.say(begin(4))
			if f := c.expect(opCancel); f.Reason != "no" {
				t.Errorf("%+v", f)
			}
			// ours
			for range 2 {
				f := c.expect(opBegin)
				if f.Transfer == 10 {
					c.say(&frame{Op: opCancel, Transfer: 10, Reason: "nobody"})
				} else {
					c.say(&frame{Op: opResult, Transfer: f.Transfer, Peer: "p", Error: "slow"})
					c.say(&frame{Op: opBegin, Transfer: f.Transfer})
				}
			}
			if f := c.expect(opCancel); f.Transfer != 11 || f.Reason != "enough" {
				t.Errorf("%+v", f)
			}
			c.next()
		}, nil)
		defer s.close()
		// Of the transfers by id: they do not wait for each other.
		done := map[uint64]chan error{1: make(chan error, 1), 2: make(chan error, 1), 3: make(chan error, 1)}
		r, err := s.dial(Options{Accept: func(in Incoming) (Sink, error) {
			if in.ID == 4 {
				return Sink{}, errors.New("no")
			}
			return Sink{Store: new(memory), Done: func(err error) { done[in.ID] <- err }}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := <-done[1]; !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		if err := <-done[2]; err == nil {
			t.Error("too many bytes were taken")
		}
		if err := <-done[3]; err == nil || err.Error() != (&CancelledError{"gone"}).Error() {
			t.Error(err)
		}
		synctest.Wait() // until the fourth is refused
		u, err := r.SendReader("file", strings.NewReader("abc"), 3, Outgoing{ID: 10})
		if err != nil {
			t.Fatal(err)
		}
		var cancelled *CancelledError
		if _, err := u.Wait(t.Context()); !errors.As(err, &cancelled) || cancelled.Reason != "nobody" {
			t.Error(err)
		}
		if u, err = r.SendReader("file", strings.NewReader("abc"), 3, Outgoing{ID: 11}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		u.Cancel("enough")
		if results, err := u.Wait(t.Context()); !errors.As(err, &cancelled) || len(results) != 1 || results[0].Error != "slow" {
			t.Error(results, err)
		}
	})
}
