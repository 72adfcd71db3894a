package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
)

// TestAnyHistoryLosesNothing: whatever happens to connections and to the server,
// in the end everybody has what everybody else sent to him, in order and each
// once. More histories: -rapid.checks=10000; a failure prints its seed.
func TestAnyHistoryLosesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const clients = 3
		type step struct {
			What      string
			Who, Who2 int
			Wait      time.Duration
		}
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{
				What: rapid.SampledFrom([]string{
					"send", "send", "send", "burst", "to one", "to one", "cut", "cut", "come", "come", "twice",
					"deaf", "hear", "ack", "kill", "stop", "wait",
				}).Draw(rt, "what"),
				Who:  rapid.IntRange(0, clients-1).Draw(rt, "who"),
				Who2: rapid.IntRange(0, clients-1).Draw(rt, "whom"),
				Wait: time.Duration(rapid.SampledFrom([]int{0, 0, 1, 100, 15_000}).Draw(rt, "wait ms")) * time.Millisecond,
			}
		}), 1, 40).Draw(rt, "steps")

		var failed []string
		synctest.Test(t, func(t *testing.T) {
			s := start(t, memnet.New(), "server", t.TempDir())
			cfg := func() Config {
				return Config{Room: s.room, Limits: Limits{Resume: time.Hour, Pending: 20_000}}
			}
			var robots []*robot
			for i := range clients {
				r := &robot{t: t, codec: Codecs[i%len(Codecs)]}
				r.come(cfg())
				robots = append(robots, r)
				synctest.Wait()
			}
			for _, st := range steps {
				r, other := robots[st.Who], robots[st.Who2]
				switch st.What {
				case "send":
					r.send("")
				case "burst":
					for range 30 {
						r.send("")
					}
				case "to one":
					if other != r {
						r.send(other.name())
					}
				case "cut":
					r.cut()
				case "come":
					if r.gone() {
						r.come(cfg())
					}
				case "twice":
					r.come(cfg())
				case "deaf", "hear":
					r.deafen(st.What == "deaf")
				case "ack":
					r.ack()
				case "kill", "stop":
					synctest.Wait()
					if st.What == "kill" {
						s = s.kill()
					} else {
						s = s.restart()
					}
				}
				time.Sleep(st.Wait)
			}
			for range 3 { // who was slow may be cut once more
				for _, r := range robots {
					r.deafen(false)
					if r.gone() {
						r.come(cfg())
					}
				}
				time.Sleep(30 * time.Second)
				synctest.Wait()
			}
			for _, r := range robots {
				r.mu.Lock()
				failed = append(failed, r.failures...)
				if n := len(r.sent); r.acked != uint64(n) {
					failed = append(failed, fmt.Sprintf("%d of %d acknowledged", r.acked, n))
				}
				for _, from := range robots {
					if from == r {
						continue
					}
					var want []uint64
					for i, to := range from.sent {
						if to == "" || to == r.id {
							want = append(want, uint64(i+1))
						}
					}
					if got := r.got[from.id]; !slices.Equal(got, want) {
						failed = append(failed, fmt.Sprintf("of %s: got %v, want %v", from.id, got, want))
					}
				}
				r.mu.Unlock()
				r.cut()
			}
		})
		if len(failed) > 0 {
			rt.Fatal(failed)
		}
	})
}

// robot is a client that keeps the rules of docs/gateway.md.
type robot struct {
	t     *testing.T
	codec Codec
	conn  *client

	mu       sync.Mutex
	id       string
	token    string
	sent     []string // recipient of each, by seq-1; "" for all
	acked    uint64
	seen     uint64 // the last message
	got      map[string][]uint64
	more     chan struct{} // closed when there is more to send
	hears    chan struct{} // closed while it reads
	ready    bool          // it was welcomed
	unacked  int
	deaf     bool
	failures []string
}

func (r *robot) fail(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *robot) gone() bool {
	select {
	case <-r.conn.closed:
		return true
	default:
		return false
	}
}

func (r *robot) name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.id
}

func (r *robot) cut() { r.conn.pipe.Close(1006, "cut") }

func (r *robot) deafen(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaf && !on {
		close(r.hears)
	} else if !r.deaf && on {
		r.hears = make(chan struct{})
	}
	r.deaf = on
}

func (r *robot) send(to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, to)
	close(r.more)
	r.more = make(chan struct{})
}

func (r *robot) ack() {
	r.mu.Lock()
	seq := r.seen
	conn, ready := r.conn, r.ready
	r.mu.Unlock()
	if seq > 0 && ready {
		go r.write(conn, &Message{Op: OpAck, Seq: seq})
	}
}

func (r *robot) write(c *client, m *Message) bool {
	raw := []byte(toClient(m))
	if r.codec == MessagePack {
		decoded, _ := JSON.Decode(raw)
		raw = MessagePack.Encode(&decoded)
	}
	select {
	case c.in <- packet{raw, r.codec.Binary()}:
		return true
	case <-c.closed:
		return false
	}
}

// toClient writes a message without the server's codec, which leaves out what it
// takes for missing.
func toClient(m *Message) string {
	v := map[string]any{"op": m.Op}
	switch m.Op {
	case OpHello:
		v["resume"], v["ack"] = m.Resume, m.Ack
	case OpAck:
		v["seq"] = m.Seq
	case OpSend:
		v["seq"], v["channel"], v["data"] = m.Seq, m.Channel, json.RawMessage(m.Content.Data)
		if m.To != nil {
			v["to"] = m.To
		}
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// come connects, and resumes if it was there before.
func (r *robot) come(cfg Config) {
	cfg.Codec = r.codec
	r.mu.Lock()
	if r.got == nil {
		r.got, r.more, r.hears = make(map[string][]uint64), make(chan struct{}), make(chan struct{})
		close(r.hears)
	}
	hello := &Message{Op: OpHello, Resume: r.token, Ack: r.seen}
	r.ready = false
	r.conn = dialIn(context.Background(), r.t, cfg)
	c := r.conn
	r.mu.Unlock()
	go func() {
		if !r.write(c, hello) {
			return
		}
		for {
			r.mu.Lock()
			hears := r.hears
			r.mu.Unlock()
			select {
			case <-hears:
			case <-c.closed:
				return
			}
			select {
			case p := <-c.out:
				r.hear(c, c.read(p), hello.Resume != "")
			case <-c.closed:
				return
			}
		}
	}()
}

func (r *robot) hear(c *client, m map[string]any, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != c {
		return // it speaks by a newer one
	}
	num := func(k string) uint64 { f, _ := m[k].(float64); return uint64(f) }
	switch m["op"] {
	case "welcome":
		id, token := m["peer"].(string), m["resume"].(string)
		if again && (m["resumed"] != true || id != r.id || token != r.token) {
			r.fail("not resumed: %v", m)
		}
		r.id, r.token, r.ready = id, token, true
		if ack := num("ack"); ack < r.acked || ack > uint64(len(r.sent)) {
			r.fail("welcome: ack %d, had %d of %d", ack, r.acked, len(r.sent))
		} else {
			r.acked = ack
		}
		go r.sendFrom(c, r.acked)
	case "ack":
		if seq := num("seq"); seq < r.acked || seq > uint64(len(r.sent)) {
			r.fail("ack %d, had %d of %d", seq, r.acked, len(r.sent))
		} else {
			r.acked = seq
		}
	case "message":
		if seq := num("seq"); seq <= r.seen {
			r.fail("message %d after %d", seq, r.seen)
		} else {
			r.seen = seq
		}
		from := m["from"].(string)
		r.got[from] = append(r.got[from], num("data"))
		if r.unacked++; r.unacked == 64 {
			r.unacked = 0
			go r.write(c, &Message{Op: OpAck, Seq: r.seen})
		}
	case "peer", "error":
		if m["op"] == "error" || m["event"] == "leave" {
			r.fail("got %v", m)
		}
	default:
		r.fail("got %v", m)
	}
}

// sendFrom sends what is behind seq, and then whatever comes.
func (r *robot) sendFrom(c *client, seq uint64) {
	for {
		r.mu.Lock()
		more, n := r.more, uint64(len(r.sent))
		var m *Message
		if seq < n {
			m = &Message{Op: OpSend, Seq: seq + 1, Channel: fmt.Sprint(seq % 2), Content: jsonc(fmt.Sprint(seq + 1))}
			if to := r.sent[seq]; to != "" {
				m.To = []string{to}
			}
		}
		r.mu.Unlock()
		if m != nil {
			if !r.write(c, m) {
				return
			}
			seq++
			continue
		}
		select {
		case <-more:
		case <-c.closed:
			return
		}
	}
}
