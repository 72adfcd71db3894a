package cells

import (
	"reflect"
	"strings"
	"testing"
)

func TestMessage(t *testing.T) {
	for _, c := range []struct {
		data string
		want Message
		ok   bool
	}{
		{`{"_ch":"chat","_d":{"n":1}}`, Message{Channel: "chat", Data: []byte(`{"n":1}`), All: true}, true},
		{`{"_ch":"chat"}`, Message{Channel: "chat", All: true}, true},
		{`{"_ch":"chat","_d":null,"_t":null}`, Message{Channel: "chat", Data: []byte("null"), All: true}, true},
		{`{"_t":["a","b"],"_d":1,"_ch":"chat"}`, Message{Channel: "chat", Data: []byte("1"), To: []string{"a", "b"}}, true},
		{`{"_ch":"chat","_t":["a",7,null,["b"],{"c":"d"},"é"]}`, Message{Channel: "chat", To: []string{"a", "é"}}, true},
		{`{"_ch":"chat","_t":"a"}`, Message{Channel: "chat", To: []string{"a"}}, true},
		{`{"_ch":"chat","_t":[]}`, Message{Channel: "chat"}, true},
		{`{"_ch":"chat","_t":7}`, Message{Channel: "chat"}, true},
		{`{"_ch":"chat","_t":{"a":"b"}}`, Message{Channel: "chat"}, true},
		{`{"_ch":"chat","_t":false}`, Message{Channel: "chat"}, true},
		{`{"_ch":7}`, Message{}, false},
		{`{"_ch":""}`, Message{}, false},
		{`{"_CH":"chat"}`, Message{}, false},
		{`{"plain":1}`, Message{}, false},
		{`["_ch","chat"]`, Message{}, false},
		{`"_ch"`, Message{}, false},
		{``, Message{}, false},
	} {
		f := Frame{Kind: KindMsg, Data: []byte(c.data)}
		got, ok := f.Message()
		if ok != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", c.data, got, ok, c.want)
		}
		f.Kind = KindPing
		if got, ok := f.Message(); ok {
			t.Errorf("a ping says %+v", got)
		}
	}
}

func TestPings(t *testing.T) {
	ping, pong := Ping{"1795351587075-0ghm3w", "NsZb3RsQyG1bF4tt64Jy"}, Pong{"1795351587075-0ghm3w", 1795351587076}
	long := strings.Repeat("x", MaxID+1)
	for _, c := range []struct {
		kind, data string
		ping       Ping
		pong       Pong
	}{
		{"ping", `{"pingId":"1795351587075-0ghm3w","target":"NsZb3RsQyG1bF4tt64Jy"}`, ping, Pong{}},
		{"pong", `{"pingId":"1795351587075-0ghm3w","receivedAt":1795351587076}`, Ping{}, pong},
		{"pong", `{"pingId":"1795351587075-0ghm3w","receivedAt":1795351587076.9}`, Ping{}, pong},
		{"pong", `{"pingId":"x","receivedAt":"soon"}`, Ping{}, Pong{ID: "x"}},
		{"pong", `{"pingId":"x","receivedAt":-1e999}`, Ping{}, Pong{"x", -1 << 53}},
		{"pong", `{"pingId":"x"}`, Ping{}, Pong{ID: "x"}},
		{"pong", `{"receivedAt":1}`, Ping{}, Pong{}},
		{"pong", `{"pingId":"` + long + `"}`, Ping{}, Pong{}},
		{"ping", `{"pingId":"x"}`, Ping{}, Pong{}},
		{"ping", `{"target":"x"}`, Ping{}, Pong{}},
		{"ping", `{"pingId":"` + long + `","target":"x"}`, Ping{}, Pong{}},
		{"ping", `{"pingId":"x","target":7}`, Ping{}, Pong{}},
		{"ping", `7`, Ping{}, Pong{}},
		{"msg", `{"pingId":"x","target":"y","receivedAt":1}`, Ping{}, Pong{}},
	} {
		f := Frame{Kind: c.kind, Data: []byte(c.data)}
		if p, ok := f.Ping(); p != c.ping || ok != (c.ping != Ping{}) {
			t.Errorf("%s %s: %+v, %v", c.kind, c.data, p, ok)
		}
		if p, ok := f.Pong(); p != c.pong || ok != (c.pong != Pong{}) {
			t.Errorf("%s %s: %+v, %v", c.kind, c.data, p, ok)
		}
	}
}
