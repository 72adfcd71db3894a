package genosrtc_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/genosrtc/caddy-genosrtc"
)

// A GenosRTC server in a Go program of its own: two WebSocket clients meet in
// a room, where browsers with gdb("my-app") would be peers beside them.
func Example() {
	server, err := genosrtc.New(genosrtc.Config{
		Rooms: []genosrtc.Room{{Name: "my-app", Password: "s3cret"}},
		UDP:   "127.0.0.1:0", // a free port, on this machine only
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close(context.Background())

	handler, err := server.Handler(genosrtc.Site{}) // at /genosrtc
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(handler) // or http.Handle("/genosrtc/", handler)
	defer web.Close()

	type message map[string]any
	join := func() (conn *websocket.Conn, peer string) {
		url := "ws" + strings.TrimPrefix(web.URL, "http") + "/genosrtc/rooms/my-app/ws"
		conn, _, err := websocket.Dial(context.Background(), url, nil)
		if err != nil {
			log.Fatal(err)
		}
		wsjson.Write(context.Background(), conn, message{"op": "hello", "password": "s3cret"})
		var welcome message
		wsjson.Read(context.Background(), conn, &welcome)
		return conn, welcome["peer"].(string)
	}
	alice, aliceID := join()
	defer alice.CloseNow()
	bob, _ := join()
	defer bob.CloseNow()

	wsjson.Write(context.Background(), alice, message{
		"op": "send", "seq": 1, "channel": "chat", "data": message{"text": "hi, Bob"},
	})
	for {
		var m message
		if err := wsjson.Read(context.Background(), bob, &m); err != nil {
			log.Fatal(err)
		}
		if m["op"] == "message" {
			fmt.Println(m["channel"], m["data"], m["from"] == aliceID)
			return
		}
	}
	// Output: chat map[text:hi, Bob] true
}
