package session

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

func text(s string) engine.Content { return engine.Content{Kind: engine.Text, Data: []byte(s)} }
func jsonc(s string) engine.Content {
	return engine.Content{Kind: engine.JSON, Data: []byte(s)}
}
func binary(s string) engine.Content { return engine.Content{Kind: engine.Binary, Data: []byte(s)} }
func withMeta(c engine.Content, meta string) engine.Content {
	c.Meta = []byte(meta)
	return c
}

// golden are messages and their encodings, byte by byte.
var golden = []struct {
	name    string
	m       Message
	json    string
	msgpack string // hex, by field
}{
	{"welcome",
		Message{Op: OpWelcome, Peer: "0k3", Identity: "session", Room: "demo", Resume: "h2vT", Peers: []engine.Peer{{ID: "0aZ", Type: "superpeer"}, {ID: "2Bx"}},
			Limits: Limits{Message: 2 << 20, Pending: 8 << 20, Resume: 2 * time.Minute, Window: 512 << 10}},
		`{"op":"welcome","peer":"0k3","identity":"session","room":"demo","resume":"h2vT","resumed":false,"ack":0,"peers":[{"peer":"0aZ","type":"superpeer"},{"peer":"2Bx"}],"limits":{"message":2097152,"pending":8388608,"resume":120,"window":524288}}`,
		"89 a26f70 a777656c636f6d65 a470656572 a3306b33 a86964656e74697479 a773657373696f6e a4726f6f6d a464656d6f" +
			" a6726573756d65 a468327654 a7726573756d6564 c2 a361636b 00 a57065657273 92 82 a470656572 a330615a a474797065 a9737570657270656572" +
			" 81 a470656572 a3324278 a66c696d697473 84 a76d657373616765 ce00200000 a770656e64696e67 ce00800000" +
			" a6726573756d65 78 a677696e646f77 ce00080000"},
	{"welcome that is not resumed",
		Message{Op: OpWelcome, Peer: "0k3", Mesh: "0m", Identity: "server", Room: "a/b", Resume: "h", Reason: "expired"},
		`{"op":"welcome","peer":"0k3","mesh":"0m","identity":"server","room":"a/b","resume":"h","resumed":false,"reason":"expired","ack":0,"peers":[],"limits":{"message":0,"pending":0,"resume":0,"window":0}}`,
		"8b a26f70 a777656c636f6d65 a470656572 a3306b33 a46d657368 a2306d a86964656e74697479 a6736572766572 a4726f6f6d a3612f62 a6726573756d65 a168" +
			" a7726573756d6564 c2 a6726561736f6e a765787069726564 a361636b 00 a57065657273 90" +
			" a66c696d697473 84 a76d657373616765 00 a770656e64696e67 00 a6726573756d65 00 a677696e646f77 00"},
	{"welcome with a server",
		Message{Op: OpWelcome, Peer: "0k3", Identity: "session", Room: "r", Resume: "h",
			ICE: []ICEServer{{URLs: []string{"turn:t"}, Username: "u", Credential: "p", Lifetime: time.Minute}, {URLs: []string{"stun:s"}}}},
		`{"op":"welcome","peer":"0k3","identity":"session","room":"r","resume":"h","resumed":false,"ack":0,"peers":[],"limits":{"message":0,"pending":0,"resume":0,"window":0},"ice":[{"urls":["turn:t"],"username":"u","credential":"p","expires":60},{"urls":["stun:s"]}]}`,
		"8a a26f70 a777656c636f6d65 a470656572 a3306b33 a86964656e74697479 a773657373696f6e a4726f6f6d a172 a6726573756d65 a168" +
			" a7726573756d6564 c2 a361636b 00 a57065657273 90 a66c696d697473 84 a76d657373616765 00 a770656e64696e67 00 a6726573756d65 00 a677696e646f77 00" +
			" a3696365 92 84 a475726c73 91 a67475726e3a74 a8757365726e616d65 a175 aa63726564656e7469616c a170 a765787069726573 3c 81 a475726c73 91 a67374756e3a73"},
	{"message, text",
		Message{Op: OpMessage, Seq: 41, Channel: "chat", From: "2Bx", Content: text("hi \"there\"\n☃")},
		`{"op":"message","seq":41,"channel":"chat","from":"2Bx","data":"hi \"there\"\n☃"}`,
		"85 a26f70 a76d657373616765 a3736571 29 a76368616e6e656c a463686174 a466726f6d a3324278 a464617461 ae686920227468657265220ae29883"},
	{"message, value with meta",
		Message{Op: OpMessage, Seq: 1 << 40, Channel: "c", From: "p", Content: withMeta(jsonc(`{"a":[1,-2.5,null,true]}`), `"m"`)},
		`{"op":"message","seq":1099511627776,"channel":"c","from":"p","data":{"a":[1,-2.5,null,true]},"meta":"m"}`,
		"86 a26f70 a76d657373616765 a3736571 cf0000010000000000 a76368616e6e656c a163 a466726f6d a170 a464617461 81 a161 94 01 cbc004000000000000 c0 c3 a46d657461 a16d"},
	{"message, bytes",
		Message{Op: OpMessage, Seq: 2, Channel: "file", From: "p", Content: withMeta(binary("\x00\x01\x02"), `{"name":"a.bin"}`)},
		`{"op":"message","seq":2,"channel":"file","from":"p","data":{"$bin":"AAEC"},"meta":{"name":"a.bin"}}`,
		"86 a26f70 a76d657373616765 a3736571 02 a76368616e6e656c a466696c65 a466726f6d a170 a464617461 c403000102 a46d657461 81 a46e616d65 a5612e62696e"},
	{"message, no bytes",
		Message{Op: OpMessage, Seq: 2, Channel: "f", From: "p", Content: binary("")},
		`{"op":"message","seq":2,"channel":"f","from":"p","data":{"$bin":""}}`,
		"85 a26f70 a76d657373616765 a3736571 02 a76368616e6e656c a166 a466726f6d a170 a464617461 c400"},
	{"message, a map that is not bytes",
		Message{Op: OpMessage, Seq: 3, Channel: "c", From: "p", Content: jsonc(`{"$bin":"this is text"}`)},
		`{"op":"message","seq":3,"channel":"c","from":"p","data":{"$map":{"$bin":"this is text"}}}`,
		"85 a26f70 a76d657373616765 a3736571 03 a76368616e6e656c a163 a466726f6d a170 a464617461 81 a42462696e ac746869732069732074657874"},
	{"message, a map with a $map in other spelling",
		Message{Op: OpMessage, Seq: 3, Channel: "c", From: "p", Content: jsonc(`{"a":1,"\u0024ma\u0070":2}`)},
		`{"op":"message","seq":3,"channel":"c","from":"p","data":{"$map":{"a":1,"\u0024ma\u0070":2}}}`,
		"85 a26f70 a76d657373616765 a3736571 03 a76368616e6e656c a163 a466726f6d a170 a464617461 82 a161 01 a4246d6170 02"},
	{"message, $bin deeper inside",
		Message{Op: OpMessage, Seq: 3, Channel: "c", From: "p", Content: jsonc(`[{"$bin":""}]`)},
		`{"op":"message","seq":3,"channel":"c","from":"p","data":[{"$bin":""}]}`,
		"85 a26f70 a76d657373616765 a3736571 03 a76368616e6e656c a163 a466726f6d a170 a464617461 91 81 a42462696e a0"},
	{"message of the history",
		Message{Op: OpMessage, Seq: 3, Channel: "c", From: "p", Content: text("a"), Recent: true},
		`{"op":"message","seq":3,"channel":"c","from":"p","data":"a","history":true}`,
		"86 a26f70 a76d657373616765 a3736571 03 a76368616e6e656c a163 a466726f6d a170 a464617461 a161 a7686973746f7279 c3"},
	{"ack", Message{Op: OpAck, Seq: 7}, `{"op":"ack","seq":7}`, "82 a26f70 a361636b a3736571 07"},
	{"result",
		Message{Op: OpResult, Seq: 7, Peer: "2Bx", Error: "gone", Text: "over"},
		`{"op":"result","seq":7,"peer":"2Bx","error":"gone","message":"over"}`,
		"85 a26f70 a6726573756c74 a3736571 07 a470656572 a3324278 a56572726f72 a4676f6e65 a76d657373616765 a46f766572"},
	{"progress of one's own",
		Message{Op: OpProgress, Seq: 7, Peer: "2Bx", Fraction: 0.5},
		`{"op":"progress","seq":7,"peer":"2Bx","fraction":0.5}`,
		"84 a26f70 a870726f6772657373 a3736571 07 a470656572 a3324278 a86672616374696f6e cb3fe0000000000000"},
	{"progress of a message that arrives",
		Message{Op: OpProgress, Channel: "file", Peer: "2Bx", Fraction: 1, Content: engine.Content{Meta: []byte(`{"name":"a.png"}`)}},
		`{"op":"progress","channel":"file","peer":"2Bx","fraction":1,"meta":{"name":"a.png"}}`,
		"85 a26f70 a870726f6772657373 a76368616e6e656c a466696c65 a470656572 a3324278 a86672616374696f6e 01 a46d657461 81 a46e616d65 a5612e706e67"},
	{"ping", Message{Op: OpPing, ID: 300}, `{"op":"ping","id":300}`, "82 a26f70 a470696e67 a26964 cd012c"},
	{"pong", Message{Op: OpPong, ID: 0, Peer: "2Bx", Error: "timeout"}, `{"op":"pong","id":0,"peer":"2Bx","error":"timeout"}`,
		"84 a26f70 a4706f6e67 a26964 00 a470656572 a3324278 a56572726f72 a774696d656f7574"},
	{"peer", Message{Op: OpPeer, Event: "join", Peer: "2Bx", Type: "superpeer"}, `{"op":"peer","event":"join","peer":"2Bx","type":"superpeer"}`,
		"84 a26f70 a470656572 a56576656e74 a46a6f696e a470656572 a3324278 a474797065 a9737570657270656572"},
	{"error", Message{Op: OpError, Code: CodeBadSeq, Text: "no"}, `{"op":"error","code":"bad_seq","message":"no"}`,
		"83 a26f70 a56572726f72 a4636f6465 a76261645f736571 a76d657373616765 a26e6f"},
	{"error about a send", Message{Op: OpError, Code: CodeBadData, Text: "no", Seq: 9}, `{"op":"error","code":"bad_data","message":"no","seq":9}`,
		"84 a26f70 a56572726f72 a4636f6465 a86261645f64617461 a76d657373616765 a26e6f a3736571 09"},
	{"begin, a sender's", Message{Op: OpBegin, Transfer: 1, Channel: "file", Size: new(uint64(0)), Kind: "text", To: []string{"p"}, Content: engine.Content{Meta: []byte(`1`)}},
		`{"op":"begin","transfer":1,"channel":"file","size":0,"kind":"text","to":["p"],"meta":1}`,
		"87 a26f70 a5626567696e a87472616e73666572 01 a76368616e6e656c a466696c65 a473697a65 00 a46b696e64 a474657874 a2746f 91 a170 a46d657461 01"},
	{"begin, a recipient's", Message{Op: OpBegin, Transfer: 1, From: "p", Offset: new(uint64(0))}, `{"op":"begin","transfer":1,"from":"p","offset":0}`,
		"84 a26f70 a5626567696e a87472616e73666572 01 a466726f6d a170 a66f6666736574 00"},
	{"chunk", Message{Op: OpChunk, Transfer: 1, From: "p", Offset: new(uint64(300)), Content: binary("\x00\x01\x02")},
		`{"op":"chunk","transfer":1,"from":"p","offset":300,"data":{"$bin":"AAEC"}}`,
		"85 a26f70 a56368756e6b a87472616e73666572 01 a466726f6d a170 a66f6666736574 cd012c a464617461 c403000102"},
	{"ack of a transfer", Message{Op: OpAck, Transfer: 1, Offset: new(uint64(9))}, `{"op":"ack","transfer":1,"offset":9}`,
		"83 a26f70 a361636b a87472616e73666572 01 a66f6666736574 09"},
	{"end", Message{Op: OpEnd, Transfer: 1, Hash: "9f"}, `{"op":"end","transfer":1,"hash":"9f"}`,
		"83 a26f70 a3656e64 a87472616e73666572 01 a468617368 a23966"},
	{"cancel", Message{Op: OpCancel, Transfer: 1, From: "p", Reason: "no"}, `{"op":"cancel","transfer":1,"from":"p","reason":"no"}`,
		"84 a26f70 a663616e63656c a87472616e73666572 01 a466726f6d a170 a6726561736f6e a26e6f"},
	{"error about a transfer", Message{Op: OpError, Code: CodeBadOffset, Text: "no", Transfer: 1, From: "p"}, `{"op":"error","code":"bad_offset","message":"no","transfer":1,"from":"p"}`,
		"85 a26f70 a56572726f72 a4636f6465 aa6261645f6f6666736574 a76d657373616765 a26e6f a87472616e73666572 01 a466726f6d a170"},
	{"put", Message{Op: OpPut, ID: 1, Node: "a", Content: jsonc(`{"n":1}`), Expect: []byte(`"absent"`)},
		`{"op":"put","id":1,"node":"a","data":{"n":1},"expect":"absent"}`,
		"85 a26f70 a3707574 a26964 01 a46e6f6465 a161 a464617461 81a16e01 a6657870656374 a6616273656e74"},
	{"put of a text without a name", Message{Op: OpPut, ID: 1, Content: text("x")},
		`{"op":"put","id":1,"data":"x"}`,
		"83 a26f70 a3707574 a26964 01 a464617461 a178"},
	{"patch", Message{Op: OpPatch, ID: 2, Node: "a", Content: jsonc(`{"n":null}`), Expect: []byte(`{"physical":1795384580219,"logical":3}`)},
		`{"op":"patch","id":2,"node":"a","data":{"n":null},"expect":{"physical":1795384580219,"logical":3}}`,
		"85 a26f70 a57061746368 a26964 02 a46e6f6465 a161 a464617461 81a16ec0 a6657870656374 82a8706879736963616ccf000001a20542987ba76c6f676963616c03"},
	{"remove", Message{Op: OpRemove, ID: 3, Node: "a"},
		`{"op":"remove","id":3,"node":"a"}`,
		"83 a26f70 a672656d6f7665 a26964 03 a46e6f6465 a161"},
	{"link", Message{Op: OpLink, ID: 4, Node: "a", Target: "b"},
		`{"op":"link","id":4,"node":"a","target":"b"}`,
		"84 a26f70 a46c696e6b a26964 04 a46e6f6465 a161 a6746172676574 a162"},
	{"get", Message{Op: OpGet, ID: 5, Node: "a"},
		`{"op":"get","id":5,"node":"a"}`,
		"83 a26f70 a3676574 a26964 05 a46e6f6465 a161"},
	{"node", Message{Op: OpNode, ID: 5, Seq: 1795384580219092, Node: "a", Content: jsonc(`{"$bin":"text"}`), Edges: []string{}, Timestamp: []byte(`{"physical":1,"logical":0}`)},
		`{"op":"node","id":5,"seq":1795384580219092,"node":"a","data":{"$map":{"$bin":"text"}},"edges":[],"timestamp":{"physical":1,"logical":0}}`,
		"87 a26f70 a46e6f6465 a26964 05 a3736571 cf000660e48c23a0d4 a46e6f6465 a161 a464617461 81a42462696ea474657874 a56564676573 90 a974696d657374616d70 82a8706879736963616c01a76c6f676963616c00"},
	{"node that is gone", Message{Op: OpNode, ID: 5, Seq: 9, Node: "a", Removed: true},
		`{"op":"node","id":5,"seq":9,"node":"a","removed":true}`,
		"85 a26f70 a46e6f6465 a26964 05 a3736571 09 a46e6f6465 a161 a772656d6f766564 c3"},
	{"watch of all", Message{Op: OpWatch, ID: 6, Prefix: "s-", After: new(uint64(0))},
		`{"op":"watch","id":6,"prefix":"s-","after":0}`,
		"84 a26f70 a57761746368 a26964 06 a6707265666978 a2732d a56166746572 00"},
	{"watch that is up to date", Message{Op: OpWatch, ID: 6, Seq: 9},
		`{"op":"watch","id":6,"seq":9}`,
		"83 a26f70 a57761746368 a26964 06 a3736571 09"},
	{"unwatch", Message{Op: OpUnwatch, ID: 6},
		`{"op":"unwatch","id":6}`,
		"82 a26f70 a7756e7761746368 a26964 06"},
	{"mesh, asked for", Message{Op: OpMesh, ID: 7},
		`{"op":"mesh","id":7}`,
		"82 a26f70 a46d657368 a26964 07"},
	{"mesh, the place of a bridge",
		Message{Op: OpMesh, Place: &engine.MeshState{Epoch: 3, Peer: "0k3", Cell: 2, Bridge: true, Bridges: []string{"cell-1"}, Size: 5, Cells: 4, Known: 3, Peers: 17, TTL: 9}},
		`{"op":"mesh","epoch":3,"peer":"0k3","cellId":"cell-2","isBridge":true,"bridges":["cell-1"],"cellSize":5,"totalCells":4,"knownCells":3,"totalPeers":17,"dynamicTTL":9}`,
		"8b a26f70 a46d657368 a565706f6368 03 a470656572 a3306b33 a663656c6c4964 a663656c6c2d32 a86973427269646765 c3 a762726964676573 91a663656c6c2d31" +
			" a863656c6c53697a65 05 aa746f74616c43656c6c73 04 aa6b6e6f776e43656c6c73 03 aa746f74616c5065657273 11 aa64796e616d696354544c 09"},
	{"mesh, a place in a mixed room",
		Message{Op: OpMesh, Place: &engine.MeshState{Epoch: 3, Peer: "0k3", Size: 5, Cells: 1, Known: 1, Peers: 2, TTL: 5, Mixed: true}},
		`{"op":"mesh","epoch":3,"peer":"0k3","cellId":"cell-0","isBridge":false,"bridges":[],"cellSize":5,"totalCells":1,"knownCells":1,"totalPeers":2,"dynamicTTL":5,"mixed":true}`,
		"8c a26f70 a46d657368 a565706f6368 03 a470656572 a3306b33 a663656c6c4964 a663656c6c2d30 a86973427269646765 c2 a762726964676573 90" +
			" a863656c6c53697a65 05 aa746f74616c43656c6c73 01 aa6b6e6f776e43656c6c73 01 aa746f74616c5065657273 02 aa64796e616d696354544c 05 a56d69786564 c3"},
	{"mesh, no cells", Message{Op: OpMesh, Place: &engine.MeshState{Peer: "0k3"}},
		`{"op":"mesh","epoch":0,"peer":"0k3"}`,
		"83 a26f70 a46d657368 a565706f6368 00 a470656572 a3306b33"},
	{"mesh, a roster", Message{Op: OpMesh, ID: 7, Roster: []engine.MeshPeer{{ID: "0k3", Cell: 0, Bridge: true, Bridges: []string{"cell-1"}}, {ID: "2Bx", Cell: 1}}, More: true},
		`{"op":"mesh","id":7,"roster":[{"peer":"0k3","cellId":"cell-0","isBridge":true,"bridges":["cell-1"]},{"peer":"2Bx","cellId":"cell-1","isBridge":false,"bridges":[]}],"more":true}`,
		"84 a26f70 a46d657368 a26964 07 a6726f73746572 92" +
			" 84 a470656572 a3306b33 a663656c6c4964 a663656c6c2d30 a86973427269646765 c3 a762726964676573 91a663656c6c2d31" +
			" 84 a470656572 a3324278 a663656c6c4964 a663656c6c2d31 a86973427269646765 c2 a762726964676573 90 a46d6f7265 c3"},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			if got := string(JSON.Encode(&g.m)); got != g.json {
				t.Errorf("JSON\n got %s\nwant %s", got, g.json)
			}
			want, err := hex.DecodeString(strings.ReplaceAll(g.msgpack, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if got := MessagePack.Encode(&g.m); string(got) != string(want) {
				t.Errorf("MessagePack\n got %x\nwant %x", got, want)
			}
		})
	}
}

// both gives a decoding test the same value in both encodings.
func both(t *testing.T, v map[string]any) map[string][]byte {
	t.Helper()
	mp, err := msgpack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"msgpack": mp, "json": []byte(toJSON(t, v))}
}

func codecNamed(name string) Codec {
	if name == "json" {
		return JSON
	}
	return MessagePack
}

func TestDecode(t *testing.T) {
	type fields = map[string]any
	for name, c := range map[string]struct {
		in   fields
		want Message
	}{
		"hello":               {fields{"op": "hello"}, Message{Op: OpHello}},
		"hello with password": {fields{"op": "hello", "password": "pässword"}, Message{Op: OpHello, Password: "pässword"}},
		"hello with resume":   {fields{"op": "hello", "resume": "token", "ack": 3}, Message{Op: OpHello, Resume: "token", Ack: 3}},
		"hello with history":  {fields{"op": "hello", "history": 100}, Message{Op: OpHello, History: 100}},
		"hello, null fields":  {fields{"op": "hello", "resume": nil, "password": nil}, Message{Op: OpHello}},
		"text":                {fields{"op": "send", "seq": 1, "channel": "chat", "data": "hi"}, Message{Op: OpSend, Seq: 1, Channel: "chat", Content: text("hi")}},
		"empty text":          {fields{"op": "send", "seq": 1, "channel": "c", "data": ""}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: text("")}},
		"number":              {fields{"op": "send", "seq": 1, "channel": "c", "data": 5}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: jsonc("5")}},
		"fraction":            {fields{"op": "send", "seq": 1, "channel": "c", "data": 0.1}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: jsonc("0.1")}},
		"null":                {fields{"op": "send", "seq": 1, "channel": "c", "data": nil}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: jsonc("null")}},
		"boolean":             {fields{"op": "send", "seq": 1, "channel": "c", "data": false}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: jsonc("false")}},
		"array":               {fields{"op": "send", "seq": 1, "channel": "c", "data": []any{"a", 1}}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: jsonc(`["a",1]`)}},
		"map":                 {fields{"op": "send", "seq": 1, "channel": "c", "data": fields{"text": "hi"}}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: jsonc(`{"text":"hi"}`)}},
		"meta":                {fields{"op": "send", "seq": 1, "channel": "c", "data": "", "meta": fields{"a": 1}}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: withMeta(text(""), `{"a":1}`)}},
		"meta null is none":   {fields{"op": "send", "seq": 1, "channel": "c", "data": "", "meta": nil}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: text("")}},
		"to one":              {fields{"op": "send", "seq": 1, "channel": "c", "data": "", "to": "p"}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: text(""), To: []string{"p"}}},
		"to several":          {fields{"op": "send", "seq": 1, "channel": "c", "data": "", "to": []string{"p", "q"}}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: text(""), To: []string{"p", "q"}}},
		"to nobody":           {fields{"op": "send", "seq": 1, "channel": "c", "data": "", "to": []string{}}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: text(""), To: []string{}}},
		"to all":              {fields{"op": "send", "seq": 1, "channel": "c", "data": "", "to": nil}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: text("")}},
		"progress":            {fields{"op": "send", "seq": 1, "channel": "c", "data": "", "progress": true}, Message{Op: OpSend, Seq: 1, Channel: "c", Content: text(""), Progress: true}},
		"greatest seq":        {fields{"op": "ack", "seq": uint64(maxInteger)}, Message{Op: OpAck, Seq: maxInteger}},
		"seq as a float":      {fields{"op": "ack", "seq": 4.0}, Message{Op: OpAck, Seq: 4}},
		"ping":                {fields{"op": "ping", "id": 0}, Message{Op: OpPing}},
		"ping a peer":         {fields{"op": "ping", "id": 2, "peer": "p"}, Message{Op: OpPing, ID: 2, Peer: "p"}},
		"pong":                {fields{"op": "pong", "id": 2}, Message{Op: OpPong, ID: 2}},
		"mesh":                {fields{"op": "mesh", "id": 7, "roster": []any{1}, "epoch": "x"}, Message{Op: OpMesh, ID: 7}},
		"leave":               {fields{"op": "leave"}, Message{Op: OpLeave}},
		"unknown fields":      {fields{"op": "leave", "x": fields{"y": []any{1, nil}}, "data": []any{}, "seq": "not ours"}, Message{Op: OpLeave}},
	} {
		for enc, raw := range both(t, c.in) {
			m, err := codecNamed(enc).Decode(raw)
			if err != nil || !reflect.DeepEqual(m, c.want) {
				t.Errorf("%s, %s: got %+v, %v\nwant %+v", name, enc, m, err, c.want)
			}
		}
	}
}

func TestDecodeFaults(t *testing.T) {
	type fields = map[string]any
	many := make([]string, engine.MaxRecipients+1)
	deep := any(1)
	for range maxDepth + 1 {
		deep = []any{deep}
	}
	for name, c := range map[string]struct {
		in   fields
		code Code
		seq  uint64
	}{
		"no op":               {fields{"seq": 1}, CodeBadMessage, 0},
		"op is no string":     {fields{"op": 1}, CodeBadMessage, 0},
		"op is null":          {fields{"op": nil}, CodeUnknownOp, 0},
		"unknown op":          {fields{"op": "dance", "seq": 1}, CodeUnknownOp, 0},
		"case matters":        {fields{"OP": "leave"}, CodeBadMessage, 0},
		"seq missing":         {fields{"op": "send", "channel": "c", "data": 1}, CodeBadSeq, 0},
		"seq null":            {fields{"op": "send", "seq": nil, "channel": "c", "data": 1}, CodeBadSeq, 0},
		"seq a string":        {fields{"op": "send", "seq": "1", "channel": "c", "data": 1}, CodeBadSeq, 0},
		"seq negative":        {fields{"op": "send", "seq": -1, "channel": "c", "data": 1}, CodeBadSeq, 0},
		"seq a fraction":      {fields{"op": "send", "seq": 1.5, "channel": "c", "data": 1}, CodeBadSeq, 0},
		"seq too great":       {fields{"op": "send", "seq": uint64(1 << 53), "channel": "c", "data": 1}, CodeBadSeq, 0},
		"seq much too great":  {fields{"op": "send", "seq": 1e300, "channel": "c", "data": 1}, CodeBadSeq, 0},
		"channel missing":     {fields{"op": "send", "seq": 1, "data": 1}, CodeChannelName, 1},
		"channel a number":    {fields{"op": "send", "seq": 1, "channel": 1, "data": 1}, CodeChannelName, 1},
		"data missing":        {fields{"op": "send", "seq": 1, "channel": "c"}, CodeBadData, 1},
		"data too deep":       {fields{"op": "send", "seq": 1, "channel": "c", "data": deep}, CodeBadData, 1},
		"meta too deep":       {fields{"op": "send", "seq": 1, "channel": "c", "data": 1, "meta": deep}, CodeBadData, 1},
		"to a number":         {fields{"op": "send", "seq": 1, "channel": "c", "data": 1, "to": 1}, CodeBadMessage, 1},
		"to with a number":    {fields{"op": "send", "seq": 1, "channel": "c", "data": 1, "to": []any{"p", 1}}, CodeBadMessage, 1},
		"to a map":            {fields{"op": "send", "seq": 1, "channel": "c", "data": 1, "to": fields{}}, CodeBadMessage, 1},
		"to too many":         {fields{"op": "send", "seq": 1, "channel": "c", "data": 1, "to": many}, CodeTooMany, 1},
		"progress a number":   {fields{"op": "send", "seq": 1, "channel": "c", "data": 1, "progress": 1}, CodeBadMessage, 1},
		"ack of a fraction":   {fields{"op": "ack", "seq": 0.5}, CodeBadSeq, 0},
		"chunk, no transfer":  {fields{"op": "chunk", "offset": 1, "data": 1}, CodeBadTransfer, 0},
		"chunk, no offset":    {fields{"op": "chunk", "transfer": 1, "offset": nil, "data": 1}, CodeBadOffset, 0},
		"chunk, no data":      {fields{"op": "chunk", "transfer": 1, "offset": 0}, CodeBadData, 0},
		"begin, size":         {fields{"op": "begin", "transfer": 1, "size": -1}, CodeBadTransfer, 0},
		"end, hash":           {fields{"op": "end", "transfer": 1, "hash": 1}, CodeBadTransfer, 0},
		"ping without id":     {fields{"op": "ping"}, CodeBadMessage, 0},
		"mesh without id":     {fields{"op": "mesh"}, CodeBadMessage, 0},
		"ping with a string":  {fields{"op": "ping", "id": "1"}, CodeBadMessage, 0},
		"password a number":   {fields{"op": "hello", "password": 1}, CodeBadMessage, 0},
		"two faults: the 1st": {fields{"op": "send", "seq": 1, "to": 1}, CodeChannelName, 1},
	} {
		for enc, raw := range both(t, c.in) {
			m, err := codecNamed(enc).Decode(raw)
			if e, ok := err.(*Error); !ok || e.Code != c.code || m.Seq != c.seq {
				t.Errorf("%s, %s: got seq %d, %v; want seq %d, %s", name, enc, m.Seq, err, c.seq, c.code)
			}
		}
	}
	deepest := any(1)
	for range maxDepth {
		deepest = []any{deepest}
	}
	for enc, raw := range both(t, fields{"op": "send", "seq": 1, "channel": "c", "data": deepest, "meta": deepest}) {
		if _, err := codecNamed(enc).Decode(raw); err != nil {
			t.Errorf("%s: %d levels: %v", enc, maxDepth, err)
		}
	}
}

// TestDecodeJSON has what only JSON can say.
func TestDecodeJSON(t *testing.T) {
	send := func(data string) string { return `{"op":"send","seq":1,"channel":"c","data":` + data + `}` }
	for in, want := range map[string]engine.Content{
		send(`{"$bin":"AAEC"}`):                 binary("\x00\x01\x02"),
		send(`{"$bin":""}`):                     binary(""),
		send(`{"\u0024bin":"\u0041AEC"}`):       binary("\x00\x01\x02"),
		send(` { "$bin" : "AAEC" } `):           binary("\x00\x01\x02"),
		send(`{"$map":{"$bin":"AAEC"}}`):        jsonc(`{"$bin":"AAEC"}`),
		send(`{"$map":{"$map":{}}}`):            jsonc(`{"$map":{}}`),
		send(`{"$ma\u0070": {"a":1} }`):         jsonc(`{"a":1}`),
		send(`{"a":{"$bin":"AAEC"}}`):           jsonc(`{"a":{"$bin":"AAEC"}}`),
		send(`[{"$bin":5}]`):                    jsonc(`[{"$bin":5}]`),
		send(`{"$binary":1,"a":"\u0041"}`):      jsonc(`{"$binary":1,"a":"\u0041"}`),
		send(`"$bin"`):                          text("$bin"),
		send(`"\ud83d\ude00 \ud83d."`):          text("😀 \uFFFD."),
		send(`["\ud83d"]`):                      jsonc(`["\ud83d"]`),
		send(`12345678901234567890123456789.0`): jsonc(`12345678901234567890123456789.0`),
		send(`{"a":1,"a":2}`):                   jsonc(`{"a":1,"a":2}`),
	} {
		m, err := JSON.Decode([]byte(in))
		if err != nil || !reflect.DeepEqual(m.Content, want) {
			t.Errorf("%s: got %+v, %v", in, m.Content, err)
		}
	}
	for in, code := range map[string]Code{
		``:                                  CodeBadMessage,
		`null`:                              CodeBadMessage,
		`[]`:                                CodeBadMessage,
		`{"op":"leave"`:                     CodeBadMessage,
		`{"op":"leave"}}`:                   CodeBadMessage,
		`{"op":"leave"} {}`:                 CodeBadMessage,
		`{"op":"leave",}`:                   CodeBadMessage,
		"{\"op\":\"leave\",\"x\":\"\xff\"}": CodeBadMessage,
		`{"op":"leave","x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`: CodeBadMessage,
		send(`{"$bin":"AAE"}`):        CodeBadData,
		send(`{"$bin":"AA-_"}`):       CodeBadData,
		send(`{"$bin":5}`):            CodeBadData,
		send(`{"$bin":"","a":1}`):     CodeBadData,
		send(`{"$map":5}`):            CodeBadData,
		send(`{"$map":{},"$bin":""}`): CodeBadData,
		`{"op":"ping","id":1e400}`:    CodeBadMessage,
	} {
		if _, err := JSON.Decode([]byte(in)); err == nil || err.(*Error).Code != code {
			t.Errorf("%.60s: got %v, want %s", in, err, code)
		}
	}
	if m, err := JSON.Decode([]byte(`{"op":"ping","id":1e3}`)); err != nil || m.ID != 1000 {
		t.Errorf("id 1e3: got %d, %v", m.ID, err)
	}
}

// TestDecodeMessagePack has what only MessagePack can say.
func TestDecodeMessagePack(t *testing.T) {
	const head = "84 a26f70 a473656e64 a3736571 01 a76368616e6e656c a163 a464617461 "
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for in, want := range map[string]engine.Content{
		"c403000102":               binary("\x00\x01\x02"),
		"c50001ff":                 binary("\xff"),
		"c600000000":               binary(""),
		"d90161":                   text("a"),
		"da000161":                 text("a"),
		"db0000000161":             text("a"),
		"cc05":                     jsonc("5"),
		"cd0005":                   jsonc("5"),
		"ce00000005":               jsonc("5"),
		"cf0000000000000005":       jsonc("5"),
		"cfffffffffffffffff":       jsonc("18446744073709551615"),
		"d0ff":                     jsonc("-1"),
		"d1ffff":                   jsonc("-1"),
		"d2ffffffff":               jsonc("-1"),
		"d38000000000000000":       jsonc("-9223372036854775808"),
		"ff":                       jsonc("-1"),
		"ca3fc00000":               jsonc("1.5"),
		"ca3dcccccd":               jsonc("0.10000000149011612"),
		"cb4008000000000000":       jsonc("3"),
		"cb7e37e43c8800759c":       jsonc("1e+300"),
		"cb8000000000000000":       jsonc("-0"),
		"cb7ff8000000000001":       jsonc("null"),
		"cb7ff0000000000000":       jsonc("null"),
		"cafff00000ff":             {}, // a byte too many
		"c0":                       jsonc("null"),
		"dc0001dd00000000":         jsonc("[[]]"),
		"de0001a161df00000000":     jsonc(`{"a":{}}`),
		"82a16101a16102":           jsonc(`{"a":1,"a":2}`),
		"9181a42462696ea441414543": jsonc(`[{"$bin":"AAEC"}]`),
		"81a42462696ea441414543":   jsonc(`{"$bin":"AAEC"}`),
	} {
		m, err := MessagePack.Decode(unhex(head + in))
		if want.Data == nil {
			if err == nil {
				t.Errorf("%s: got %+v, want an error", in, m)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(m.Content, want) {
			t.Errorf("%s: got %q, %v", in, m.Content.Data, err)
		}
	}
	for in, code := range map[string]Code{
		"":                                       CodeBadMessage,
		"c0":                                     CodeBadMessage,
		"90":                                     CodeBadMessage,
		"81":                                     CodeBadMessage,
		"81a26f70":                               CodeBadMessage,
		"81a26f70a56c656176":                     CodeBadMessage, // cut
		"81a26f70a56c6561766500":                 CodeBadMessage, // a byte too many
		"81a26f70c1":                             CodeBadMessage, // a code that means nothing
		"81a26f70a2fffe":                         CodeBadMessage,
		"dfffffffffa26f70":                       CodeBadMessage,
		"81a26f70dbffffffff61":                   CodeBadMessage,
		"81a26f70ddffffffff61":                   CodeBadMessage,
		"81a26f70" + strings.Repeat("91", 1<<20): CodeBadMessage,
		head + "d6ff00000000":                    CodeBadData, // a timestamp
		head + "c70105aa":                        CodeBadData,
		head + "91c400":                          CodeBadData,
		head + "81a161c400":                      CodeBadData,
		head + "810101":                          CodeBadData,
		head + "a1ff":                            CodeBadData,
		head + "91a1ff":                          CodeBadData,
		head + "81a1ff01":                        CodeBadData,
		"84 a26f70 a473656e64 a3736571 01 a76368616e6e656c a1ff a464617461 01":                 CodeChannelName,
		"85 a26f70 a473656e64 a3736571 01 a76368616e6e656c a163 a464617461 01 a46d657461 c400": CodeBadData,
		"85 a26f70 a473656e64 a3736571 01 a76368616e6e656c a163 a464617461 01 a2746f 91a1ff":   CodeBadMessage,
	} {
		if _, err := MessagePack.Decode(unhex(in)); err == nil || err.(*Error).Code != code {
			t.Errorf("%.60s: got %v, want %s", in, err, code)
		}
	}
	// Unknown fields may hold anything, also keys that are no strings.
	for _, in := range []string{
		"82 a26f70 a56c65617665 01 d6ff00000000",
		"82 a26f70 a56c65617665 a178 " + strings.Repeat("91", 100000) + "c0",
		"82 a178 82c400c4019292c3c3 cafff00000 a26f70 a56c65617665",
	} {
		if m, err := MessagePack.Decode(unhex(in)); err != nil || m.Op != OpLeave {
			t.Errorf("%.60s: got %+v, %v", in, m, err)
		}
	}
}

// TestEncodeIsTotal has what must not reach a client as it is.
func TestEncodeIsTotal(t *testing.T) {
	for _, c := range []struct {
		in         engine.Content
		json, pack string // data alone
	}{
		{text("a\xffb"), `"a` + "\uFFFD" + `b"`, "\xa5a\uFFFDb"},
		{jsonc("\"a\xffb\""), `"a` + "\uFFFD" + `b"`, "\xa5a\uFFFDb"},
		{jsonc(`"\ud800"`), `"\ud800"`, "\xa3\uFFFD"},
		{jsonc(`1e999`), `1e999`, "\xc0"},
		{jsonc(`1e3`), `1e3`, "\xcd\x03\xe8"},
		{jsonc(`-0`), `-0`, "\xcb\x80\x00\x00\x00\x00\x00\x00\x00"},
	} {
		m := Message{Op: OpMessage, Content: c.in}
		if got := string(JSON.Encode(&m)); !strings.HasSuffix(got, `"data":`+c.json+`}`) {
			t.Errorf("%q: JSON %s", c.in.Data, got)
		}
		if got := string(MessagePack.Encode(&m)); !strings.HasSuffix(got, "\xa4data"+c.pack) {
			t.Errorf("%q: MessagePack %q", c.in.Data, got)
		}
	}
	// The engine takes JSON as deep as encoding/json does.
	deep := jsonc(strings.Repeat("[", 10000) + strings.Repeat("]", 10000))
	got := MessagePack.Encode(&Message{Op: OpMessage, Content: deep})
	if !strings.HasSuffix(string(got), strings.Repeat("\x91", 9999)+"\x90") {
		t.Error("a deep value was not passed on")
	}
}
