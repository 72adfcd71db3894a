package handler

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/session"
)

// ICEServer is a STUN or TURN server that a client may use.
type ICEServer = session.ICEServer

// ICEServers makes the list of servers for somebody who was admitted. User is who
// it is, for quotas: by the credentials, or else by the network address. Until is
// when the admission ends; zero: it does not.
type ICEServers func(user string, until time.Time) []ICEServer

// iceServers are those for a client whose credentials are good.
func (h *Handler) iceServers(grant session.Grant, address string) []ICEServer {
	if h.ice == nil {
		return nil
	}
	user := "user " + grant.User
	if grant.User == "" {
		user = "address " + network(address)
	}
	return h.ice(user, grant.Expires)
}

// serveICE tells the servers to a page that is linked without us, as the list that
// GenosDB takes as turnConfig (docs/gateway.md, "STUN and TURN").
func (h *Handler) serveICE(w http.ResponseWriter, r *http.Request) {
	// Who may have them is whom a room lets in.
	room := r.URL.Query().Get("room")
	if room == "" && r.Method != http.MethodOptions {
		h.refuse(w, badRequest(http.StatusBadRequest, "name the room that you are in: ?room="))
		return
	}
	r.SetPathValue("room", room)
	v, ok := h.visit(w, r, http.MethodGet, http.MethodHead)
	if !ok {
		return
	}
	servers := h.iceServers(v.grant, h.clientIP(r))
	if servers == nil {
		h.refuse(w, noICEServers)
		return
	}
	respond(w, http.StatusOK, servers)
}

var noICEServers = &refusal{reason: "servers", status: http.StatusNotFound, detail: "this server has no STUN and TURN server"}

// linkICEServers adds a Link header field for each URL of the servers (RFC 9725,
// section 4.6; RFC 8288). What a header cannot carry as it is, other than printable
// ASCII, is left out.
func linkICEServers(header http.Header, servers []ICEServer) {
	for _, s := range servers {
		for _, url := range s.URLs {
			if strings.ContainsAny(url, "<> ") || !printable(url+s.Username+s.Credential) {
				continue
			}
			link := fmt.Sprintf(`<%s>; rel="ice-server"`, url)
			if s.Username != "" {
				link += fmt.Sprintf(`; username=%s; credential=%s; credential-type="password"`, quote(s.Username), quote(s.Credential))
			}
			header.Add("Link", link)
		}
	}
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// quote makes a quoted-string (RFC 9110, section 5.6.4).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
