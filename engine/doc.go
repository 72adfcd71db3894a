// Package engine holds GenosRTC rooms: it hosts peers in them, links these with
// the remote peers, and passes channel messages between links and seats.
//
// A [Node] has rooms. Each [Room] is owned by one goroutine, its actor, which
// alone touches roster, hosted peers and pairs. A participant in this process
// takes a [Seat]; the mesh sees it as a hosted peer of its own or as the
// server's. The seat is used through an [Attachment], of which it may have one
// after the other: what it misses in between lies in the room's journal. Links
// and attachments have goroutines of their own and reach the actor through its
// bounded inbox; the actor never waits for them.
//
// The engine knows neither HTTP nor Caddy nor WebRTC. What it needs of the
// outside are two interfaces: [Signaling], by which peers find each other, and
// [Transport], which makes links.
package engine
