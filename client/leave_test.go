package client

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestLeaveAfterTransfer has an application that leaves as soon as a transfer is
// stored: the sender must hear that before the session ends, although the
// application takes its time over it and the connection is lost.
func TestLeaveAfterTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		about := frame{Transfer: 3, From: "other"}
		begin, chunk, end := about, about, about
		begin.Op, begin.Channel, begin.Kind, begin.Size = opBegin, "file", KindBytes, new(int64(3))
		chunk.Op, chunk.Offset, chunk.Data = opChunk, new(int64), &data{[]byte("abc")}
		end.Op, end.Hash = opEnd, hashOf([]byte("abc"))
		s := serve(t, func(n int, c *served) {
			c.welcome(frame{Resumed: n > 1})
			begin := begin
			begin.Offset = new(int64((n - 1) * 3))
			c.say(&begin)
			if n == 1 {
				c.expect(opBegin)
				c.say(&chunk)
				c.say(&end)
			}
			ended := false
			for {
				switch f := c.next(); f.Op {
				case opEnd:
					if n == 1 {
						return // the server did not hear of it
					}
					ended = true
				case opPing:
					c.say(&frame{Op: opPong, ID: f.ID})
				case opLeave:
					if !ended {
						t.Errorf("connection %d: leave came before the end of the transfer", n)
					}
					c.ws.Close(1000, "left")
					return
				}
			}
		}, nil)
		defer s.close()
		stored := make(chan struct{})
		r, err := s.dial(Options{Accept: func(Incoming) (Sink, error) {
			return Sink{Store: new(memory), Done: func(err error) {
				if err != nil {
					t.Error(err)
				}
				close(stored)
				time.Sleep(time.Second)
			}}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		<-stored
		if err := r.Leave(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
