package frame

// Kind is what the bytes of a message are.
type Kind uint8

// The kinds of data that a message can carry.
const (
	Text   Kind = iota // a string, UTF-8
	JSON               // the JSON text of any value
	Binary             // bytes
)

// Content is what a message says. The bytes are shared, never changed.
type Content struct {
	Kind Kind
	Data []byte
	// Meta is an optional JSON value beside the data. On links it travels with
	// Binary only, because the browsers' own senders allow it nowhere else.
	Meta []byte
}
