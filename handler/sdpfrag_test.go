package handler

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What a client writes is read as it was meant, whatever stands around it.
func TestFragmentIsReadAsWritten(t *testing.T) {
	iceChars := `[A-Za-z0-9+/]`
	noise := []string{"a=group:BUNDLE 0 1", "a=ice-options:trickle ice2", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", "a=end-of-candidates", "", "c=IN IP4 0.0.0.0"}
	rapid.Check(t, func(t *rapid.T) {
		want := fragment{
			ufrag: rapid.StringMatching(iceChars+`{4,256}`).Draw(t, "ufrag"),
			pwd:   rapid.StringMatching(iceChars+`{22,256}`).Draw(t, "pwd"),
		}
		lines := []string{"a=ice-ufrag:" + want.ufrag, "a=ice-pwd:" + want.pwd}
		for _, c := range rapid.SliceOfN(rapid.StringMatching(`candidate:[ -~]{0,80}`), 0, 5).Draw(t, "candidates") {
			want.candidates = append(want.candidates, c)
			lines = append(lines, "a="+c)
		}
		for _, line := range rapid.SliceOfN(rapid.SampledFrom(noise), 0, 8).Draw(t, "noise") {
			lines = slices.Insert(lines, rapid.IntRange(0, len(lines)).Draw(t, "place"), line)
		}
		end := rapid.SampledFrom([]string{"\r\n", "\n"}).Draw(t, "end of a line")
		got, err := parseFragment(strings.Join(lines, end))
		if err != nil {
			t.Fatal(err)
		}
		if got.ufrag != want.ufrag || got.pwd != want.pwd || !slices.Equal(got.candidates, want.candidates) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestFragmentOfEndsWithTheEnd(t *testing.T) {
	answer := "v=0\r\na=group:BUNDLE 0\r\nm=audio 9 x 0\r\na=mid:0\r\na=end-of-candidates\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=candidate:1 2 udp 1 127.0.0.1 9 typ host\r\nm=video 9 x 0\r\na=mid:1\r\n"
	want := "a=group:BUNDLE 0\r\nm=audio 9 x 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n"
	if got := fragmentOf(answer); got != want {
		t.Errorf("got %q", got)
	}
}

// Whatever is sent, nothing of it can begin a line of its own in a description.
func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n")
	f.Add("a=ice-ufrag:EsAw\ra=ice-pwd:x")
	f.Add("a=candidate")
	f.Add("a=")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseFragment(text)
		if err != nil {
			return
		}
		for _, value := range append(got.candidates, got.ufrag, got.pwd) {
			if strings.ContainsAny(value, "\r\n") || !strings.Contains(text, value) {
				t.Errorf("%q", value)
			}
		}
		if got.ufrag != "" && len(got.ufrag) < 4 || got.pwd != "" && len(got.pwd) < 22 {
			t.Errorf("%+v", got)
		}
		_ = fragmentOf(text)
	})
}
