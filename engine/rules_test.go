package engine_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

const chatSchema = `{
	"type": "object",
	"required": ["text"],
	"additionalProperties": false,
	"properties": {
		"text": {"type": "string", "maxLength": 10},
		"n": {"type": "integer", "minimum": 0},
		"a/b~c": {"items": {"type": "string"}},
		"any": {"anyOf": [{"type": "string"}, {"type": "number"}]}
	}
}`

var chatRules = []engine.Rule{
	{Channel: "sized", MaxSize: 10, Enforce: true},
	{Channel: "paced", Rate: engine.Rate{Messages: 3, Per: time.Second}, Enforce: true},
	{Channel: "shaped", Schema: []byte(chatSchema), Enforce: true},
	{Channel: "watched", MaxSize: 10, Schema: []byte(`{"type": "string"}`)},
}

func asJSON(s string) engine.Content { return engine.Content{Kind: engine.JSON, Data: []byte(s)} }

// Each message is sent by a seat, and by a page: the one is refused with the rule
// and the place, the other does not arrive.
func TestRulesOfSizeAndSchema(t *testing.T) {
	deep := strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000)
	cases := []struct {
		channel     string
		content     engine.Content
		rule, where string // empty: it is allowed
		says        string
	}{
		{channel: "free", content: text(strings.Repeat("x", 1_000))},
		{channel: "sized", content: text("0123456789")},
		{channel: "sized", content: text("0123456789a"), rule: "max_size", says: "11 bytes, at most 10"},
		{channel: "sized", content: asJSON(`{"a":"bcde"}`), rule: "max_size", says: "12 bytes"},
		{channel: "sized", content: engine.Content{Kind: engine.Binary, Data: make([]byte, 8), Meta: []byte(`"m"`)}, rule: "max_size", says: "11 bytes"},
		{channel: "shaped", content: asJSON(`{"text":"hello"}`)},
		{channel: "shaped", content: asJSON(`{"text":"hello","n":1.0,"a/b~c":["x"],"any":2}`)},
		{channel: "shaped", content: asJSON(`{"text":"hello","n":18446744073709551616}`)},
		{channel: "shaped", content: asJSON(`{"text":7}`), rule: "schema", where: "/text", says: "got number, want string"},
		{channel: "shaped", content: asJSON(`{"text":"hello world"}`), rule: "schema", where: "/text", says: "maxLength"},
		{channel: "shaped", content: asJSON(`{}`), rule: "schema", says: "missing property 'text'"},
		{channel: "shaped", content: asJSON(`{"text":"","x":1}`), rule: "schema", says: "'x' not allowed"},
		{channel: "shaped", content: asJSON(`{"text":"","n":-1}`), rule: "schema", where: "/n", says: "minimum"},
		{channel: "shaped", content: asJSON(`{"text":"","n":1.5}`), rule: "schema", where: "/n", says: "want integer"},
		{channel: "shaped", content: asJSON(`{"text":"","n":1e400}`), rule: "schema", says: "1e400"},
		{channel: "shaped", content: asJSON(`{"text":"","a/b~c":["x",2]}`), rule: "schema", where: "/a~1b~0c/1", says: "want string"},
		{channel: "shaped", content: asJSON(`{"text":"","any":{}}`), rule: "schema", where: "/any", says: "anyOf"},
		{channel: "shaped", content: asJSON(deep), rule: "schema", says: "got array, want object"},
		{channel: "shaped", content: text("hello"), rule: "schema", says: "got string, want object"},
		{channel: "shaped", content: engine.Content{Kind: engine.Binary, Data: []byte(`{"text":""}`)}, rule: "schema", says: "bytes have no schema"},
	}
	bubble(t, func(t *testing.T, net *memnet.Network) {
		node, room := serve(t, net, "server", engine.RoomConfig{Rules: chatRules}, engine.Limits{})
		page := openPage(t, net, "a", "AAAAAAAAAAAAAAAAAAAA", "demo", "")
		alice, bob := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)

		var allowed, broken []string
		for i, c := range cases {
			err := alice.Send(t.Context(), engine.Outgoing{Channel: c.channel, Content: c.content, To: []string{bob.ID()}})
			page.send(c.channel, c.content, bob.ID())
			said := string(c.content.Data[:min(len(c.content.Data), 40)])
			if c.rule == "" {
				allowed = append(allowed, string(c.content.Data))
				if err != nil {
					t.Errorf("case %d, %s: %v", i, said, err)
				}
				continue
			}
			broken = append(broken, c.rule)
			rule, ok := errors.AsType[*engine.RuleError](err)
			if !ok || rule.Channel != c.channel || rule.Rule != c.rule || rule.Where != c.where || !strings.Contains(rule.Text, c.says) {
				t.Errorf("case %d, %s: %+v, want %s at %q that says %q", i, said, err, c.rule, c.where, c.says)
			}
		}
		settle(time.Second)
		for _, from := range []string{alice.ID(), page.id} {
			var got []string
			for _, m := range of[*engine.Message](bob) {
				if m.From == from {
					got = append(got, string(m.Content.Data))
				}
			}
			if !slices.Equal(got, allowed) {
				t.Errorf("%s was heard with %q, want %q", from, got, allowed)
			}
		}
		stats := node.Stats()
		want := map[string]uint64{}
		for _, rule := range broken {
			want[rule] += 2
		}
		if !maps.Equal(stats.RulesBroken, want) || stats.Dropped["message: against a rule"] != uint64(len(broken)) {
			t.Errorf("counted %v, want %v; dropped %v", stats.RulesBroken, want, stats.Dropped)
		}
	})
}

func TestRuleErrorSaysWhichAndWhere(t *testing.T) {
	err := &engine.RuleError{Channel: "chat", Rule: engine.RuleSchema, Where: "/text", Text: "got number, want string"}
	if got := err.Error(); got != "channel chat: schema: /text: got number, want string" {
		t.Error(got)
	}
}

// Three may come at once, then one each third of a second, of each sender by
// itself. A page that sends to all does so by each of its links: what it sends by
// one does not count for another.
func TestRuleOfRate(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		node, room := serve(t, net, "server", engine.RoomConfig{Rules: chatRules}, engine.Limits{})
		page := openPage(t, net, "a", "AAAAAAAAAAAAAAAAAAAA", "demo", "")
		alice, bob := join(t, room, engine.SeatConfig{Resume: time.Minute}), join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		send := func(c *client) error {
			return c.Send(t.Context(), engine.Outgoing{Channel: "paced", Content: text("x"), To: []string{}})
		}
		for i := range 3 {
			if err := send(alice); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		rule, ok := errors.AsType[*engine.RuleError](send(alice))
		if !ok || rule.Rule != engine.RuleRate || rule.RetryAfter <= 0 || rule.RetryAfter > time.Second/3+time.Millisecond {
			t.Fatalf("the fourth: %+v", rule)
		}
		if err := send(bob); err != nil {
			t.Errorf("another sender: %v", err)
		}
		settle(rule.RetryAfter)
		if err := send(alice); err != nil {
			t.Errorf("in time: %v", err)
		}
		if err := send(alice); err == nil {
			t.Error("too early")
		}

		for range 5 {
			page.send("paced", text("x"))
		}
		settle(100 * time.Millisecond)
		for _, c := range []*client{alice, bob} {
			if got := len(of[*engine.Message](c)); got != 3 {
				t.Errorf("%d of the page's messages arrived", got)
			}
		}
		// Two of alice's, and two of the page's by each of three links.
		if got := node.Stats().RulesBroken["rate"]; got != 2+3*2 {
			t.Errorf("%d were counted", got)
		}
	})
}

// Who takes a new seat for each message is known by its owner.
func TestRateOfOwner(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{Rules: chatRules}, engine.Limits{})
		for i := range 5 {
			c := join(t, room, engine.SeatConfig{Owner: "192.0.2.1"})
			err := c.Send(t.Context(), engine.Outgoing{Channel: "paced", Content: text("x")})
			if (err == nil) != (i < 3) {
				t.Errorf("message %d: %v", i, err)
			}
			c.Leave()
		}
	})
}

// A user has one rate, whatever seats he takes; of others each seat has its own.
func TestRateOfUser(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{Rules: chatRules}, engine.Limits{})
		message := engine.Outgoing{Channel: "paced", Content: text("x"), To: []string{}}
		sends := func(cfg engine.SeatConfig, allowed int) {
			t.Helper()
			cfg.Resume, cfg.Owner = time.Minute, "192.0.2.1"
			c := join(t, room, cfg)
			for i := range 4 {
				if err := c.Send(t.Context(), message); (err == nil) != (i < allowed) {
					t.Errorf("%q, message %d: %v", cfg.User, i, err)
				}
			}
			c.Leave()
		}
		sends(engine.SeatConfig{User: "ada"}, 3)
		sends(engine.SeatConfig{User: "ada"}, 0)
		if _, err := room.Publish(t.Context(), "ada", message); err == nil {
			t.Error("the user has another rate with Publish")
		}
		sends(engine.SeatConfig{User: "bob"}, 3)
		sends(engine.SeatConfig{}, 3)
		sends(engine.SeatConfig{}, 3)

		again := join(t, room, engine.SeatConfig{Resume: time.Minute})
		token := again.Token()
		again.Detach()
		settle(time.Millisecond)
		ada, _, err := room.Resume(t.Context(), token, 0, engine.SeatConfig{Resume: time.Minute, User: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		if err := ada.Send(t.Context(), message); err == nil {
			t.Error("the user has another rate after a resume")
		}
		if err := ada.Transfer(t.Context(), &engine.TransferBegin{ID: 1, Channel: "paced", Kind: engine.Binary, Size: 1, To: []string{}}); err == nil {
			t.Error("the user has another rate with transfers")
		}
	})
}

// Without enforce a page's message arrives, and is counted.
func TestRuleThatIsNotEnforced(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		node, room := serve(t, net, "server", engine.RoomConfig{Rules: chatRules}, engine.Limits{})
		page := openPage(t, net, "a", "AAAAAAAAAAAAAAAAAAAA", "demo", "")
		alice := join(t, room, engine.SeatConfig{})
		settle(3 * time.Second)
		page.send("watched", text("much too long"), alice.ID())
		page.send("watched", asJSON("1"), alice.ID())
		settle(time.Second)
		if got := len(of[*engine.Message](alice)); got != 2 {
			t.Errorf("%d messages arrived", got)
		}
		if err := alice.Send(t.Context(), engine.Outgoing{Channel: "watched", Content: asJSON("1")}); err == nil {
			t.Error("a seat may")
		}
		want := map[string]uint64{"max_size": 1, "schema": 2}
		if stats := node.Stats(); !maps.Equal(stats.RulesBroken, want) || stats.Dropped["message: against a rule"] != 0 {
			t.Errorf("counted %v, want %v; dropped %v", stats.RulesBroken, want, stats.Dropped)
		}
	})
}

func TestRulesOfTransfers(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{Rules: chatRules}, engine.Limits{})
		alice, bob := join(t, room, engine.SeatConfig{}), join(t, room, engine.SeatConfig{})
		settle(time.Second)
		begin := func(id uint64, channel string, size uint64, meta string) error {
			return alice.Transfer(t.Context(), &engine.TransferBegin{
				ID: id, Channel: channel, Kind: engine.JSON, Size: size, Meta: []byte(meta), To: []string{bob.ID()},
			})
		}
		for i, c := range []struct {
			channel    string
			size       uint64
			meta, rule string
		}{
			{"sized", 8, "12", ""},
			{"sized", 8, "123", "max_size"},
			{"sized", 1<<53 - 1, "", "max_size"},
			{"shaped", 2, "", "schema"},
			{"paced", 1 << 30, "", ""}, {"paced", 1, "", ""}, {"paced", 1, "", ""}, {"paced", 1, "", "rate"},
		} {
			err := begin(uint64(i+1), c.channel, c.size, c.meta)
			if rule, ok := errors.AsType[*engine.RuleError](err); ok != (c.rule != "") || ok && rule.Rule != c.rule {
				t.Errorf("case %d: %v, want %q", i, err, c.rule)
			}
		}
		if err := begin(5, "paced", 1<<30, ""); err != nil {
			t.Errorf("a transfer that goes on: %v", err)
		}
		settle(time.Second)
		if got := len(of[*engine.TransferBegin](bob)); got != 4 {
			t.Errorf("%d transfers were offered", got)
		}
	})
}

func TestRulesChange(t *testing.T) {
	bubble(t, func(t *testing.T, net *memnet.Network) {
		_, room := serve(t, net, "server", engine.RoomConfig{}, engine.Limits{})
		alice := join(t, room, engine.SeatConfig{})
		send := func() error {
			return alice.Send(t.Context(), engine.Outgoing{Channel: "sized", Content: text("0123456789a")})
		}
		if err := send(); err != nil {
			t.Errorf("without rules: %v", err)
		}
		if err := room.SetRules(chatRules); err != nil {
			t.Fatal(err)
		}
		if err := send(); err == nil {
			t.Error("with rules nothing was refused")
		}
		if err := room.SetRules(append(chatRules, engine.Rule{Channel: "@_ping"})); err == nil {
			t.Error("a reserved channel may have a rule")
		}
		if err := send(); err == nil {
			t.Error("bad rules took the good ones away")
		}
		if err := room.SetRules(nil); err != nil {
			t.Fatal(err)
		}
		if err := send(); err != nil {
			t.Errorf("without rules again: %v", err)
		}
	})
}

func TestBadRules(t *testing.T) {
	for _, c := range []struct {
		rules []engine.Rule
		says  string
	}{
		{[]engine.Rule{{}}, "channel name"},
		{[]engine.Rule{{Channel: "@_leave"}}, "channel name"},
		{[]engine.Rule{{Channel: "a"}, {Channel: "a"}}, "two rules"},
		{[]engine.Rule{{Channel: "a", MaxSize: -1}}, "negative"},
		{[]engine.Rule{{Channel: "a", Rate: engine.Rate{Messages: 1}}}, "rate"},
		{[]engine.Rule{{Channel: "a", Rate: engine.Rate{Per: 1}}}, "rate"},
		{[]engine.Rule{{Channel: "a", Schema: []byte{}}}, "not valid JSON"},
		{[]engine.Rule{{Channel: "a", Schema: []byte(`{"type":"text"}`)}}, "schema"},
		{[]engine.Rule{{Channel: "a", Schema: []byte(`{"pattern":"("}`)}}, "schema"},
		{[]engine.Rule{{Channel: "a", Schema: []byte(`{"$ref":"http://127.0.0.1:1/x.json"}`)}}, "outside of the schema"},
		{[]engine.Rule{{Channel: "a", Schema: []byte(`{"$ref":"file:///etc/passwd"}`)}}, "outside of the schema"},
		{[]engine.Rule{{Channel: "a", Schema: []byte(`{"$ref":"other.json"}`)}}, "outside of the schema"},
		{[]engine.Rule{{Channel: "a", Schema: []byte(`{"$ref":"#/$defs/none"}`)}}, "none"},
	} {
		if err := engine.ValidateRules(c.rules); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.rules, err, c.says)
		}
	}
	for _, schema := range []string{`true`, `{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/a","definitions":{"a":{}}}`} {
		if err := engine.ValidateRules([]engine.Rule{{Channel: "a", Schema: []byte(schema)}}); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
}
