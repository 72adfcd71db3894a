package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// node is what a server says of one, with its seq as value.
func node(id, seq uint64, name string) *frame {
	return &frame{Op: opNode, ID: new(id), Seq: seq, Node: name, Data: &data{int64(seq)}, Edges: []string{"e"}, Timestamp: &Timestamp{int64(seq), 1}}
}

func TestGraph(t *testing.T) {
	for _, text := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			asked := make(chan *frame, 10)
			s := serve(t, func(_ int, c *served) {
				c.welcome(frame{})
				for {
					f := c.next()
					asked <- f
					if f.Node == "none" {
						c.say(&frame{Op: opError, ID: f.ID, Code: "unknown_node", Text: "no such node"})
					} else {
						c.say(node(*f.ID, 7, f.Node))
					}
				}
			}, nil)
			defer s.close()
			r, err := s.dial(Options{JSON: text})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			g, ctx := r.Graph(), t.Context()
			want := Node{ID: "a", Value: int64(7), Edges: []string{"e"}, Timestamp: Timestamp{7, 1}, Seq: 7}

			n, err := g.Put(ctx, "a", map[string]int{"$bin": 1}, IfAbsent())
			if f := <-asked; err != nil || !reflect.DeepEqual(n, want) || f.Op != opPut || f.Expect != "absent" || !reflect.DeepEqual(f.Data.v, map[string]any{"$bin": int64(1)}) {
				t.Errorf("put: %+v, %+v, %v", f, n, err)
			}
			n, err = g.Put(ctx, "", nil)
			if f := <-asked; err != nil || len(f.Node) != 36 || n.ID != f.Node {
				t.Errorf("put without an id: %+v, %+v, %v", f, n, err)
			}
			n, err = g.Patch(ctx, "a", map[string]any{"n": nil}, IfUnchanged(n.Timestamp))
			if f := <-asked; err != nil || f.Op != opPatch || fmt.Sprint(plain(f.Expect)) != fmt.Sprint(plain(map[string]any{"physical": 7, "logical": 1})) {
				t.Errorf("patch: %+v, %+v, %v", f, n, err)
			}
			n, err = g.Link(ctx, "a", "b", IfExists())
			if f := <-asked; err != nil || f.Op != opLink || f.Target != "b" || f.Expect != "exists" || n.ID != "a" {
				t.Errorf("link: %+v, %+v, %v", f, n, err)
			}
			err = g.Remove(ctx, "none")
			if f, refused := <-asked, (*GraphError)(nil); f.Op != opRemove || !errors.As(err, &refused) || refused.Code != "unknown_node" {
				t.Errorf("remove: %+v, %v", f, err)
			}
			for _, bad := range []any{[]byte("x"), strings.Repeat("x", 5<<20)} {
				if _, err := g.Put(ctx, "a", bad); err == nil {
					t.Errorf("put of a %T of %d bytes went well", bad, reflect.ValueOf(bad).Len())
				}
			}
			gone, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := g.Get(gone, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("get: %v", err)
			}
		})
	}
}

// TestGraphAgain loses the connection with requests and a watch under way.
func TestGraphAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := make(chan []string, 1)
		s := serve(t, func(n int, c *served) {
			switch n {
			case 1:
				c.welcome(frame{})
				w := c.expect(opWatch)
				if w.Prefix != "s-" || w.After == nil || *w.After != 0 {
					t.Errorf("watch: %+v", w)
				}
				c.say(node(*w.ID, 3, "s-1"))
				c.say(&frame{Op: opWatch, ID: w.ID, Seq: 3})
				c.say(node(*w.ID, 5, "s-2"))
				c.expect(opPut)
				c.expect(opPut)
			case 2:
				c.welcome(frame{Resumed: true})
				var asked []string
				for range 3 {
					f := c.next()
					switch f.Op {
					case opWatch:
						asked = append(asked, fmt.Sprintf("watch after %d", *f.After))
						c.say(&frame{Op: opWatch, ID: f.ID, Seq: 5})
						c.say(&frame{Op: opNode, ID: f.ID, Seq: 9, Node: "s-1", Removed: true})
					default:
						asked = append(asked, fmt.Sprintf("%s %s", f.Op, f.Node))
						c.say(node(*f.ID, 9, f.Node))
					}
				}
				again <- asked
				c.expect(opUnwatch)
				c.next()
			}
		}, nil)
		defer s.close()
		r, err := s.dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var changes []string
		for c, err := range r.Graph().Watch(t.Context(), WatchOptions{Prefix: "s-", Whole: true}) {
			if err != nil {
				t.Fatal(err)
			}
			changes = append(changes, fmt.Sprintf("%d %s %t %t", c.Seq, c.ID, c.Removed, c.UpToDate))
			if c.Seq == 5 {
				errs := make(chan error, 2)
				for _, id := range []string{"a", "b"} {
					go func() {
						_, err := r.Graph().Put(t.Context(), id, 1)
						errs <- err
					}()
					synctest.Wait()
				}
				if err := errors.Join(<-errs, <-errs); err != nil {
					t.Error(err)
				}
			}
			if c.Removed {
				break
			}
		}
		if asked := <-again; !slices.Equal(asked, []string{"put a", "put b", "watch after 5"}) {
			t.Errorf("asked again: %v", asked)
		}
		if !slices.Equal(changes, []string{"3 s-1 false false", "3  false true", "5 s-2 false false", "9 s-1 true false"}) {
			t.Errorf("changes: %q", changes)
		}
	})
}

// TestWatchOfSlow tells more than the application takes: the watch ends at the
// server, and goes on from there.
func TestWatchOfSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = 3*watchNodes + 10
		s := serve(t, func(_ int, c *served) {
			c.welcome(frame{})
			for {
				w := c.expect(opWatch)
				if w.After == nil {
					w.After = new(uint64)
				}
				for seq := *w.After + 1; seq <= all; seq++ {
					c.say(node(*w.ID, seq, "n"))
				}
			}
		}, nil)
		defer s.close()
		r, err := s.dial(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		next := uint64(1)
		for c, err := range r.Graph().Watch(t.Context(), WatchOptions{}) {
			if err != nil || c.Seq != next {
				t.Fatalf("change %d instead of %d, %v", c.Seq, next, err)
			}
			synctest.Wait() // all that the server says has come
			if next++; next > all {
				break
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.graph.watches) > 0 {
			t.Error("the watch is there still")
		}
	})
}

func TestWatchIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, func(_ int, c *served) {
			c.welcome(frame{})
			c.say(&frame{Op: opError, ID: c.expect(opWatch).ID, Code: "no_graph", Text: "none"})
			c.next()
		}, nil)
		defer s.close()
		r, err := s.dial(Options{Notify: func(e Event) {
			if _, ok := e.(Refused); ok {
				t.Errorf("%+v", e)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, err := range r.Graph().Watch(t.Context(), WatchOptions{}) {
			if refused, ok := errors.AsType[*GraphError](err); !ok || refused.Code != "no_graph" {
				t.Errorf("%v", err)
			}
		}
	})
}
