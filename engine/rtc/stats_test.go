package rtc_test

import (
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/rtc"
)

func TestStatsTellOfLinks(t *testing.T) {
	offering, answering := transport(t), transport(t)
	a, _, _, eb := linked(t, offering, answering)
	for name, tr := range map[string]*rtc.Transport{"offering": offering, "answering": answering} {
		s, candidates := tr.Stats(), 0
		for pair, n := range s.Candidates {
			if candidates += n; pair.Local == "" || pair.Remote == "" {
				t.Errorf("%s: candidates %+v", name, pair)
			}
		}
		if s.States["connected"] != 1 || candidates != 1 || s.CongestionWindow == 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if stage := a.(engine.Staged).Stage(); stage != "open" {
		t.Errorf("the stage of an open link is %q", stage)
	}
	half, _, err := offering.Offer(t.Context(), newEnd())
	if err != nil {
		t.Fatal(err)
	}
	if stage := half.(engine.Staged).Stage(); stage != "ice" {
		t.Errorf("the stage of a link without an answer is %q", stage)
	}
	half.Close()
	if stage := half.(engine.Staged).Stage(); stage != "ice" {
		t.Errorf("the stage that it ended at is %q", stage)
	}
	a.Close()
	await(t, "closed at the answerer", eb.closed)
	if err := answering.Close(); err != nil {
		t.Fatal(err)
	}
	if s := answering.Stats(); len(s.States) != 0 {
		t.Errorf("without links: %+v", s)
	}
}
