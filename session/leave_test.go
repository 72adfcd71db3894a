package session

import (
	"testing"
	"testing/synctest"
)

// A client that says leave and drops its connection at once, as a browser does
// when a page ends, has left, though nothing can be written to it any more.
func TestLeaveAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := enter(t, Config{Room: lone(t)})
		c.say(`{"op":"ping","id":1}`)
		synctest.Wait() // the answer is being written
		c.say(`{"op":"leave"}`)
		synctest.Wait()
		c.pipe.Close(0, "")
		if err := <-c.ended; err != errLeft {
			t.Errorf("the session ended with: %v", err)
		}
	})
}
