package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCounterOf(t *testing.T) {
	for text, want := range map[string]string{
		`["EVENT","s",{"id":"x"}]`: "",
		`["EOSE","s"]`:             "",
		`["OK","id",true,""]`:      "",
		`["OK","id",true,"duplicate: this event was here"]`:     "events.duplicate",
		`["OK","id",false,"invalid: bad signature"]`:            "events.forged",
		`["OK","id",false,"invalid: 65 tags"]`:                  "events.invalid",
		`["OK","id",false,"no such thing"]`:                     unnamed,
		`["CLOSED","s","restricted: 512 subscriptions"]`:        "refused.subscriptions",
		`["CLOSED","s","rate-limited: slow down"]`:              "refused.rate_limited",
		`["NOTICE","invalid: binary message, NIP-01 is text"]`:  "refused.binary",
		`["NOTICE","blocked: too many invalid messages"]`:       "closed.junk",
		`["NOTICE","error: slow: too much was waiting for 10"]`: "closed.slow",
		`nonsense`: unnamed,
	} {
		if got := counterOf([]byte(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestMissed(t *testing.T) {
	good := rounds.Values{toldPrefix + copiesFirst: 1, toldPrefix + "closed.junk": 1}
	for _, name := range mustShow {
		good[relayPrefix+name] = 1
	}
	if goals := missed(attacked, good); len(goals) != 0 {
		t.Errorf("%q", goals)
	}
	if goals := missed(quiet, rounds.Values{}); len(goals) != 0 {
		t.Errorf("%q", goals)
	}
	for name, n := range map[string]float64{
		lost: 1, troubles: 1, relayPrefix + "closed.slow": 0, toldPrefix + copiesFirst: 0,
		toldPrefix + unnamed: 1, toldPrefix + "closed.junk": 2,
	} {
		bad := maps.Clone(good)
		bad[name] = n
		if goals := missed(attacked, bad); len(goals) != 1 {
			t.Errorf("%s %v: %q", name, n, goals)
		}
	}
}

func TestTooSlow(t *testing.T) {
	if goals := tooSlow(rounds.Series{4, 4.9, 20}); len(goals) != 0 {
		t.Errorf("%q", goals)
	}
	for _, s := range []rounds.Series{{4, 5, 6}, nil} {
		if len(tooSlow(s)) != 1 {
			t.Errorf("%v meets the goal", s)
		}
	}
}

// Everything is said once, in order, and its forged copy differs in a digit of
// the signature.
func TestScript(t *testing.T) {
	script, err := newScript(3, 2*announceEvery)
	if err != nil {
		t.Fatal(err)
	}
	if want := 3*2*len(rooms) + int(2*announceEvery/probeEvery); len(script) != want {
		t.Errorf("%d announces, want %d", len(script), want)
	}
	ids, before := map[string]bool{}, time.Duration(0)
	for _, a := range script {
		if ids[a.event.ID] || a.at < before {
			t.Fatal("said twice, or out of order")
		}
		ids[a.event.ID], before = true, a.at
		real := a.event.Frame
		forged := withOtherSignature(real)
		i := strings.LastIndex(string(real), `"sig":"`) + len(`"sig":"`)
		if forged[i] == real[i] || !bytes.Equal(forged[:i], real[:i]) || !bytes.Equal(forged[i+1:], real[i+1:]) {
			t.Fatalf("%q of %q", forged, real)
		}
	}
}
