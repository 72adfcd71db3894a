package session

import "testing"

func TestGrant(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		want     bool
	}{
		{nil, true},
		{[]string{}, false},
		{[]string{"chat"}, true},
		{[]string{"file", "ch*"}, true},
		{[]string{"chatter"}, false},
		{[]string{"[chat"}, false}, // not a pattern
	} {
		g := Grant{Publish: c.patterns, Subscribe: c.patterns}
		if g.MayPublish("chat") != c.want || g.MaySubscribe("chat") != c.want {
			t.Errorf("%q: want %v", c.patterns, c.want)
		}
	}
}
