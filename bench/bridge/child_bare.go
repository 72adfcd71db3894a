package main

import (
	"context"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// bareBridge copies each WebSocket message into a data-channel message, and
// each of those into a WebSocket message. It serves one client and one peer.
func bareBridge(tuned bool) (http.Handler, error) {
	dc, err := newChannel(tuned)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /offer", func(w http.ResponseWriter, r *http.Request) {
		offer, err := io.ReadAll(r.Body)
		if err == nil {
			var answer string
			if answer, err = dc.answer(string(offer)); err == nil {
				_, err = io.WriteString(w, answer)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		<-dc.opened
		go copyOut(dc, ws)
		copyIn(ws, dc)
	})
	return mux, nil
}

// copyIn copies from the WebSocket to the data channel.
func copyIn(ws *websocket.Conn, dc *channel) {
	ws.SetReadLimit(-1)
	buf := make([]byte, bufferSize)
	for {
		b, err := readMessage(ws, buf)
		if err != nil || dc.send(b) != nil {
			return
		}
	}
}

// copyOut copies from the data channel to the WebSocket.
func copyOut(dc *channel, ws *websocket.Conn) {
	buf := make([]byte, bufferSize)
	for {
		n, err := dc.Read(buf)
		if err != nil || ws.Write(context.Background(), websocket.MessageBinary, buf[:n]) != nil {
			return
		}
	}
}

// bufferSize has room for the longest message of the loads.
const bufferSize = 2 << 20

// readMessage reads a WebSocket message into buf.
func readMessage(ws *websocket.Conn, buf []byte) ([]byte, error) {
	_, r, err := ws.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	for n := 0; ; {
		k, err := r.Read(buf[n:])
		n += k
		if err == io.EOF {
			return buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
		if n == len(buf) {
			return nil, io.ErrShortBuffer
		}
	}
}
