package handler

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// A drain ends sessions and streams, who came while it began too, and refuses POSTs.
func TestDrain(t *testing.T) {
	s := serve(t, Config{})
	url := s.server.URL + "/genosrtc/rooms/demo/"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	c := s.enter()
	s.h.Drain(0)
	c.over(session.CloseRestart, session.Draining.Reason)
	rest, err := io.ReadAll(stream.Body)
	if err != nil || !bytes.Contains(rest, []byte("\n: "+session.Draining.Reason)) {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	late := s.h.hold(s.open("late")) // it was admitted before
	defer late.release()
	<-late.ctx.Done()

	request(t, http.MethodPost, url+"channels/chat", nil).want(http.StatusServiceUnavailable)
	request(t, http.MethodGet, url+"ws", nil).want(http.StatusServiceUnavailable)
	request(t, http.MethodGet, url+"events", nil).want(http.StatusServiceUnavailable)
	if n := s.h.Stats().Refused["draining"]; n != 3 {
		t.Errorf("%d refusals are counted", n)
	}
	s.h.Undrain()
	s.h.Undrain()
	c = s.enter()
	s.h.Drain(time.Hour)
	s.h.Drain(0) // the shorter one counts
	c.over(session.CloseRestart, session.Draining.Reason)
}
