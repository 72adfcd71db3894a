package session

import (
	"encoding/json"
	"time"
)

// ICEServer is a STUN or TURN server that a client may use. In JSON it is an
// RTCIceServer (W3C WebRTC, section 4.2.3), with one member more, expires.
type ICEServer struct {
	// URLs (RFC 7064, RFC 7065) of the one server, by all its transports.
	URLs []string
	// Username and Credential are empty where the server asks for none.
	Username, Credential string
	// Lifetime is how long the credential is good from now on, in whole seconds.
	// 0: for good.
	Lifetime time.Duration
}

// iceServer is an ICEServer as clients see it.
type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
	Expires    int64    `json:"expires,omitempty"` // seconds
}

// MarshalJSON implements json.Marshaler.
func (s ICEServer) MarshalJSON() ([]byte, error) {
	return json.Marshal(iceServer{s.URLs, s.Username, s.Credential, int64(s.Lifetime / time.Second)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *ICEServer) UnmarshalJSON(b []byte) error {
	var v iceServer
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*s = ICEServer{v.URLs, v.Username, v.Credential, time.Duration(v.Expires) * time.Second}
	return nil
}
