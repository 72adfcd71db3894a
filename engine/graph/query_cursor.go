package graph

import (
	"encoding/base64"
	"encoding/json"
)

// cursor is the JSON within one. It says where the page before ended, not which node
// that was, so that it is good also if the node is gone.
type cursor struct {
	Order  string  `json:"o,omitempty"`
	Kind   kind    `json:"k,omitempty"`
	Number float64 `json:"n,omitempty"`
	Text   []byte  `json:"t,omitempty"`
	ID     string  `json:"i"`
}

func (p *place) cursor(order string) string {
	text, err := json.Marshal(cursor{order, p.kind, p.number, p.text, p.id})
	if err != nil {
		panic(err) // the number is finite
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func parseCursor(s, order string) (place, error) {
	var c cursor
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(text, &c) != nil || c.Order != order {
		return place{}, ErrCursor
	}
	return place{value{c.Kind, c.Number, c.Text}, c.ID}, nil
}
