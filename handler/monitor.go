package handler

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"time"
	"weak"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/web"
)

// Monitor is the page on which people watch rooms (docs/gateway.md, "The monitor"). It
// shows of a room what its peers could know, and how their links are, to whoever may
// enter it.
type Monitor struct {
	// Rooms are names that the page offers to choose from; each only to who may
	// enter it without credentials. Others have to be typed in.
	Rooms []string
}

const (
	// pictureLife is how long all who watch a room get the same picture. They ask every
	// second.
	pictureLife = 900 * time.Millisecond
	maxPictures = 64 // rooms whose last picture is kept
)

// monitor has the pictures of the rooms that are watched. It runs nothing.
type monitor struct {
	pictures *lru.Cache[string, picture] // by room
	taking   singleflight.Group
}

// picture is what a room looked like at a time.
type picture struct {
	room weak.Pointer[engine.Room] // of that name, which may be opened anew
	at   time.Time
	json []byte
}

func newMonitor() *monitor {
	pictures, err := lru.New[string, picture](maxPictures)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &monitor{pictures: pictures}
}

// picture returns one of a room that is new enough, and takes it if there is none.
func (m *monitor) picture(h *Handler, room *engine.Room) ([]byte, error) {
	if p, ok := m.pictures.Get(room.Name()); ok && p.room == weak.Make(room) && time.Since(p.at) < pictureLife {
		return p.json, nil
	}
	taken, err, _ := m.taking.Do(room.Name(), func() (any, error) {
		at := time.Now()
		p, err := room.Picture()
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(h.documentPicture(room.Name(), p))
		if err == nil {
			m.pictures.Add(room.Name(), picture{weak.Make(room), at, data})
		}
		return data, err
	})
	if err != nil {
		return nil, err
	}
	return taken.([]byte), nil
}

// monitored answers 404 unless the monitor is on.
func (h *Handler) monitored(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if h.settings.Load().monitor == nil {
			notFound(w, r)
			return
		}
		next(w, r)
	}
}

// servePicture tells what a room looks like now.
func (h *Handler) servePicture(w http.ResponseWriter, r *http.Request) {
	v, ok := h.visit(w, r, http.MethodGet, http.MethodHead)
	if !ok {
		return
	}
	data, err := h.monitor.picture(h, v.room)
	if err != nil {
		h.refuse(w, unavailable(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(data) // an error is the client's going away
}

var monitorPage = template.Must(template.New("monitor").Parse(web.MonitorHTML))

// serveMonitor shows the page. There is nothing in it that needs credentials.
func (h *Handler) serveMonitor(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	set := h.settings.Load()
	if set.monitor == nil { // turned off this moment
		notFound(w, r)
		return
	}
	var shown credentials
	if set.auth.User != nil {
		shown.user = set.auth.User(r)
	}
	rooms := slices.DeleteFunc(slices.Clone(set.monitor.Rooms), func(name string) bool {
		room, open := h.engine.Room(name)
		if !open {
			return true
		}
		_, fault := set.judge(door{name, room}, shown)
		return fault != nil
	})
	var page bytes.Buffer
	if err := monitorPage.Execute(&page, struct {
		Rooms []string
		// Cookies tells that the web server itself asks for credentials, which
		// the page has to send along; else nobody is to be asked twice.
		Cookies bool
	}{rooms, set.auth.User != nil}); err != nil {
		h.log.Error("the monitor page cannot be made", "error", err)
		h.refuse(w, unavailable(err))
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache")
	_, _ = page.WriteTo(w) // an error is the client's going away
}
