package signaling

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/nbd-wtf/go-nostr"
)

// vectors were captured from real pages (testdata/vectors.json).
type vectors struct {
	Topics []struct {
		DB, Room, What, Preimage, Topic string
		Kind                            int
	}
	Keys []struct {
		DB, Room, Password, Preimage, AES256KeyHex string
	}
	SDP []struct {
		Room, Password, Type, Envelope, Plaintext string
	}
	Events []struct {
		Meaning string
		Frame   []json.RawMessage
	}
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Topics) == 0 || len(v.Keys) == 0 || len(v.SDP) == 0 || len(v.Events) == 0 {
		t.Fatal("vectors are missing")
	}
	return v
}

func TestTopicsEqualTheBrowsers(t *testing.T) {
	for _, v := range readVectors(t).Topics {
		var got string
		if peer, ok := strings.CutPrefix(v.Preimage, rootString(v.Room)+"@"); ok {
			got = SelfTopic(v.Room, peer)
		} else if v.Preimage == rootString(v.Room) {
			got = RootTopic(v.Room)
		} else {
			t.Fatalf("preimage %q is not of room %q", v.Preimage, v.Room)
		}
		if got != v.Topic || Kind(got) != v.Kind {
			t.Errorf("%s: topic %s of kind %d, want %s of kind %d", v.Preimage, got, Kind(got), v.Topic, v.Kind)
		}
	}
}

func TestKeysEqualTheBrowsers(t *testing.T) {
	for _, v := range readVectors(t).Keys {
		if v.Room != engine.AppRoom(v.DB) && v.Room != engine.SyncRoom(v.DB) {
			t.Errorf("room %q is neither of database %q", v.Room, v.DB)
		}
		if sum := sha256.Sum256([]byte(v.Preimage)); hex.EncodeToString(sum[:]) != v.AES256KeyHex {
			t.Fatalf("vector of %q contradicts itself", v.Preimage)
		}
		raw, _ := hex.DecodeString(v.AES256KeyHex)
		sealed, err := key(t, v.Password, v.Room).seal("v=0", newIV())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keyOf(t, raw).open(sealed); got != "v=0" || err != nil {
			t.Errorf("the browsers' key of %q does not open our envelope: %v", v.Preimage, err)
		}
	}
}

func TestEnvelopesEqualTheBrowsers(t *testing.T) {
	for _, v := range readVectors(t).SDP {
		k := key(t, v.Password, v.Room)
		got, err := k.open(v.Envelope)
		if err != nil || got != v.Plaintext {
			t.Errorf("%s of %q: opened %q, %v", v.Type, v.Room, got, err)
		}
		numbers, _, _ := strings.Cut(v.Envelope, "$")
		var iv []byte
		for number := range strings.SplitSeq(numbers, ",") {
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			iv = append(iv, byte(n))
		}
		if sealed, err := k.seal(v.Plaintext, iv); err != nil || sealed != v.Envelope {
			t.Errorf("%s of %q: sealed %q, %v; want %q", v.Type, v.Room, sealed, err, v.Envelope)
		}
	}
}

func TestEventsOfBrowsersAreGenuine(t *testing.T) {
	vectors := readVectors(t)
	for _, v := range vectors.Events {
		var ev nostr.Event
		if err := json.Unmarshal(v.Frame[len(v.Frame)-1], &ev); err != nil {
			t.Fatal(err)
		}
		if !wellFormed(&ev) || !genuine(&ev) {
			t.Errorf("event %s is not genuine", ev.ID)
		}
		if ev.ID != ev.GetID() {
			t.Errorf("event %s has id %s", ev.ID, ev.GetID())
		}
		if topic := ev.Tags[0].Value(); len(ev.Tags) != 1 || Kind(topic) != ev.Kind {
			t.Errorf("event %s: tags %v, kind %d", ev.ID, ev.Tags, ev.Kind)
		}
		c, err := parseContent(ev.Content)
		if err != nil {
			t.Fatalf("%s: %v", ev.Content, err)
		}
		kinds := map[string]engine.SignalKind{
			"announce": engine.Announce, "bye": engine.Bye, "offer": engine.Offer, "answer": engine.Answer,
		}
		if c.kind != kinds[v.Meaning] {
			t.Errorf("%s is read as %d, want %s", ev.Content, c.kind, v.Meaning)
		}
		if c.envelope != "" && !slices.ContainsFunc(vectors.SDP, func(s struct {
			Room, Password, Type, Envelope, Plaintext string
		}) bool {
			_, err := key(t, s.Password, s.Room).open(c.envelope)
			return err == nil
		}) {
			t.Errorf("no room opens the envelope of event %s", ev.ID)
		}
		// Offers carry the "peer" object, which we do not send.
		if text, err := c.encode(); err != nil || c.kind != engine.Offer && text != ev.Content {
			t.Errorf("encoded %s, %v; want %s", text, err, ev.Content)
		}

		forged := ev
		forged.Content += " "
		if genuine(&forged) {
			t.Error("a changed content counts as genuine")
		}
		forged.ID = forged.GetID()
		if genuine(&forged) {
			t.Error("a changed content with its id counts as genuine")
		}
	}
}
