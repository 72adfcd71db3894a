package engine

import "github.com/genosrtc/caddy-genosrtc/engine/frame"

// Content is what a message says: its kind, its bytes, and an optional meta
// value. It is the frame layer's content unchanged, so that a message is
// neither copied nor converted between a session and a link.
type Content = frame.Content

// Kind is what the bytes of a Content are.
type Kind = frame.Kind

// The kinds of Content, see [frame.Kind].
const (
	Text   = frame.Text
	JSON   = frame.JSON
	Binary = frame.Binary
)
