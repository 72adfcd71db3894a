package signaling

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/genosrtc/caddy-genosrtc/engine"
	"pgregory.net/rapid"
)

func drain(q *queue[int]) (values []int) {
	for {
		v, ok := q.pop(0)
		if !ok {
			return values
		}
		values = append(values, v)
	}
}

// The overflow policy: announces are lost first, offers and answers last.
func TestFullQueueLosesTheLeastWorth(t *testing.T) {
	q := newQueue[int](4)
	for i, v := range []struct {
		kind, lost engine.SignalKind
	}{
		{engine.Answer, 0}, {engine.Announce, 0}, {engine.Bye, 0}, {engine.Announce, 0}, // 0 1 2 3
		{engine.Announce, engine.Announce}, // 1 is lost: the oldest announce
		{engine.Offer, engine.Announce},    // 3
		{engine.Offer, engine.Announce},    // 4
		{engine.Announce, engine.Announce}, // 7, itself: all others are worth more
		{engine.Answer, engine.Bye},        // 2
		{engine.Answer, engine.Offer},      // 5
	} {
		if lost := q.push(v.kind, "", i); lost != v.lost {
			t.Errorf("message %d: lost one of kind %d, want %d", i, lost, v.lost)
		}
	}
	if got := drain(q); !slices.Equal(got, []int{0, 6, 8, 9}) {
		t.Errorf("kept %v", got)
	}
}

func TestLastWordOfAPeerReplacesEarlierOnes(t *testing.T) {
	q := newQueue[int](2)
	q.push(engine.Announce, "a", 1)
	q.push(engine.Announce, "b", 2)
	if lost := q.push(engine.Announce, "a", 3); lost != 0 {
		t.Error("a replaced message counts as lost")
	}
	q.push(engine.Bye, "b", 4)
	if got := drain(q); !slices.Equal(got, []int{3, 4}) {
		t.Errorf("kept %v", got)
	}
}

func TestAnnouncesCanBeHeldBack(t *testing.T) {
	q := newQueue[int](9)
	q.push(engine.Announce, "", 1)
	q.push(engine.Bye, "", 2)
	if v, ok := q.pop(engine.Bye); !ok || v != 2 {
		t.Errorf("popped %d, %t", v, ok)
	}
	if _, ok := q.pop(engine.Bye); ok {
		t.Error("popped an announce")
	}
	if n := q.clear(); n != 1 {
		t.Errorf("cleared %d", n)
	}
}

// Against the policy written the slow way.
func TestQueueModel(t *testing.T) {
	type item struct {
		kind  engine.SignalKind
		value int
	}
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(rt, "limit")
		q := newQueue[int](limit)
		var model []item
		for value := range rapid.IntRange(0, 40).Draw(rt, "steps") {
			if rapid.IntRange(0, 2).Draw(rt, "pop") == 0 {
				v, ok := q.pop(0)
				if ok != (len(model) > 0) || ok && v != model[0].value {
					rt.Fatalf("popped %d, %t of %v", v, ok, model)
				}
				if ok {
					model = model[1:]
				}
				continue
			}
			kind := engine.SignalKind(rapid.IntRange(1, 4).Draw(rt, "kind"))
			lost := q.push(kind, "", value)
			model = append(model, item{kind, value})
			var want engine.SignalKind
			if len(model) > limit {
				least := slices.MinFunc(model, func(a, b item) int { return int(a.kind) - int(b.kind) })
				want = least.kind
				model = slices.DeleteFunc(model, func(i item) bool { return i == least })
			}
			if lost != want {
				rt.Fatalf("lost kind %d, want %d", lost, want)
			}
		}
		var want []int
		for _, i := range model {
			want = append(want, i.value)
		}
		if got := drain(q); !slices.Equal(got, want) {
			rt.Fatalf("left %v, want %v", got, want)
		}
	})
}

func TestQueueNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int](9)
		ctx, cancel := context.WithCancel(t.Context())
		var got []int
		ended := 0
		read := func() {
			for {
				v, ok := q.next(ctx)
				if !ok {
					ended++
					return
				}
				got = append(got, v)
			}
		}
		go read()
		synctest.Wait()
		q.push(engine.Bye, "", 1)
		synctest.Wait()
		q.push(engine.Bye, "", 2)
		q.push(engine.Bye, "", 3)
		q.close()
		if lost := q.push(engine.Bye, "", 4); lost != engine.Bye {
			t.Error("a closed queue takes messages")
		}
		synctest.Wait()
		if !slices.Equal(got, []int{1, 2, 3}) || ended != 1 {
			t.Errorf("read %v, ended %d", got, ended)
		}

		q = newQueue[int](9)
		go read()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if ended != 2 {
			t.Error("the end of the context does not end the wait")
		}
	})
}
