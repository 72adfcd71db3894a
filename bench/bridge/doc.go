// Command bridge measures what a message costs on its way from a session to a
// link and back, against a bare bridge that does the least that is possible.
//
//	go run ./bench/bridge
//
// The driver, this process, holds both ends: a WebSocket client of the session
// protocol in MessagePack, and a WebRTC peer that speaks GenosRTC's frames. The
// bridge between them runs in a process of its own: the whole server (package
// genosrtc), or the bare bridge of child_bare.go, which copies WebSocket messages into
// data-channel messages and back, and knows no protocol. Both run with Go's and
// pion's defaults, and tuned: GOGC=400, and for the bare bridge the socket
// buffers that the server always has.
//
// In every round each load is put on all the bridges, one after the other, so
// that a ratio is one of neighbours in time. Printed are medians, in brackets
// the least and the greatest value. CPU is that of the bridge's process alone.
package main
