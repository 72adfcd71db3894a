package session

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/engine/store"
)

// server is a process with a folder of its own.
type server struct {
	t        *testing.T
	net      *memnet.Network
	name     string
	dir      string
	endpoint *memnet.Endpoint
	store    *store.Store
	node     *engine.Node
	room     *engine.Room
}

func start(t *testing.T, net *memnet.Network, name, dir string) *server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(filepath.Join(dir, "genosrtc.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	e := net.Endpoint(name)
	s := &server{t: t, net: net, name: name, dir: dir, endpoint: e, store: st}
	s.node = engine.New(engine.Config{Signaling: e, Transport: e, Logger: log, Dir: dir, Store: st})
	s.room = open(t, s.node, engine.RoomConfig{})
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	if err := s.node.Close(context.Background()); err != nil {
		s.t.Error(err)
	}
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
}

// kill starts another process with what the disk holds now, as after kill -9.
func (s *server) kill() *server {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
	s.stop()
	return start(s.t, s.net, s.name, dir)
}

// restart starts another process after this one was stopped.
func (s *server) restart() *server {
	s.stop()
	return start(s.t, s.net, s.name, s.dir)
}

// TestRestart: sessions go on after the server was stopped, or killed.
func TestRestart(t *testing.T) {
	for name, again := range map[string]func(*server) *server{"stop": (*server).restart, "kill": (*server).kill} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, memnet.New(), "server", t.TempDir())
				cfg := Config{Room: s.room}
				a, tokenA := secret(t, cfg)
				b, tokenB := secret(t, cfg)
				a.peer("join", b.id)
				a.send(1)
				seq := b.hear("message")["seq"].(float64)
				b.cut()
				a.send(2)
				a.send(3, b.id)
				a.cut()
				s = again(s)
				cfg.Room = s.room

				a2, w := resume(t, cfg, tokenA, 0)
				if w["resumed"] != true || w["peer"] != a.id || w["ack"] != 3.0 || w["mesh"] == nil || w["mesh"] == a.id {
					t.Errorf("welcome %v", w)
				}
				a2.say(`{"op":"send","seq":3,"channel":"c","data":3}`) // is a repetition
				a2.expect(`{"op":"ack","seq":3}`)
				a2.send(4)
				b2, w := resume(t, cfg, tokenB, int(seq))
				if w["resumed"] != true || w["peer"] != b.id {
					t.Errorf("welcome %v", w)
				}
				for want := 2.0; want <= 4; want++ {
					if m := b2.hear("message"); m["data"] != want || m["from"] != a.id {
						t.Errorf("got %v, want %v", m, want)
					}
				}
				// Under its new name in the mesh it is the same peer.
				a2.say(`{"op":"send","seq":5,"channel":"c","data":5,"to":%q}`, w["mesh"])
				a2.expect(`{"op":"ack","seq":5}`)
				b2.hear("message")

				b2.cut()
				a2.say(`{"op":"leave"}`)
				a2.over(CloseNormal, "left")
				time.Sleep(DefaultResume)
				synctest.Wait()
				s = again(s)
				cfg.Room = s.room
				for _, token := range []string{tokenA, tokenB} {
					if _, w := resume(t, cfg, token, 0); w["reason"] != "unknown" {
						t.Errorf("welcome %v", w)
					}
				}
			})
		})
	}
}

// TestKilledWithMessagesUnderWay: what was on its way to the mesh when the server
// was killed is reported, until the client has heard it; what had arrived is not.
func TestKilledWithMessagesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		s := start(t, net, "near", t.TempDir())
		far := open(t, process(t, net.Endpoint("far"), engine.Limits{}), engine.RoomConfig{})
		cfg := Config{Room: s.room}
		a, token := secret(t, cfg)
		b := enter(t, Config{Room: far})
		a.peer("join", b.id)
		a.send(1)
		b.hear("message")
		time.Sleep(2 * time.Second) // a checkpoint
		a.send(2)
		b.hear("message")
		time.Sleep(2 * time.Second)
		s.endpoint.Freeze(true)
		a.send(3)
		time.Sleep(2 * time.Second)
		a.send(4, b.id)
		a.cut()
		for range 2 {
			synctest.Wait()
			s = s.kill()
		}
		a, w := resume(t, Config{Room: s.room}, token, 0)
		if w["ack"] != 4.0 {
			t.Errorf("welcome %v", w)
		}
		for want := 3.0; want <= 4; want++ {
			if m := a.hear("result"); m["seq"] != want || m["error"] != "gone" || m["peer"] != nil {
				t.Errorf("got %v, want a result of %v", m, want)
			}
		}
		a.say(`{"op":"ping","id":1}`)
		a.expect(`{"op":"pong","id":1}`)
	})
}
