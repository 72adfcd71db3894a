package handler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/genosrtc/caddy-genosrtc/engine"
)

func TestAnswersAreKeptForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnswers()
		key, request := digestOf("key"), digestOf("request")
		place, known, why := a.begin(key, request)
		if known || why != nil {
			t.Fatal("a first request is known")
		}
		if _, _, why := a.begin(key, request); why != underWay || why.status != http.StatusConflict {
			t.Errorf("beside the first: %+v", why)
		}
		a.end(key, place, nil)
		place, known, _ = a.begin(key, request)
		if known {
			t.Error("a request that came to nothing is known")
		}
		a.end(key, place, &receipt{Seq: 7})
		time.Sleep(answerLife)
		if place, known, _ := a.begin(key, request); !known || place.answer.Seq != 7 {
			t.Error("the answer is forgotten too soon")
		}
		if _, _, why := a.begin(key, digestOf("other")); why != otherRequest {
			t.Errorf("another request: %+v", why)
		}
		time.Sleep(time.Second)
		if _, known, why := a.begin(key, digestOf("other")); known || why != nil {
			t.Error("the answer is kept too long")
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	a := newAnswers()
	keep := func(name string, answer receipt) {
		place, known, why := a.begin(digestOf(name), digestOf())
		if !known && why == nil {
			a.end(digestOf(name), place, &answer)
		}
	}
	known := func(name string) bool {
		place, ok := a.kept.Peek(digestOf(name))
		return ok && place.done
	}
	keep("first", receipt{})
	keep("second", receipt{})
	for i := range maxAnswers - 1 {
		keep(string(rune(i+0x10000)), receipt{})
	}
	if n := a.kept.Len(); n != maxAnswers || known("first") || !known("second") {
		t.Errorf("%d answers; the oldest is there: %v, the next: %v", n, known("first"), known("second"))
	}
	large := receipt{Results: make([]receiptResult, engine.MaxRecipients)}
	for i := range large.Results {
		large.Results[i].Peer = strings.Repeat("p", engine.MaxPeerID)
	}
	for i := range 1000 {
		keep(fmt.Sprint("large", i), large)
	}
	if n, most := a.kept.Len(), maxAnswerBytes/(engine.MaxRecipients*engine.MaxPeerID); n > most || n < most/3 {
		t.Errorf("%d large answers, of at most %d", n, most)
	}
	if known("second") || known("large0") || !known("large999") {
		t.Error("the oldest do not go first")
	}
	if digestOf("a", "b") == digestOf("ab") || digestOf("", "a") == digestOf("a", "") {
		t.Error("different requests look alike")
	}
}

// What is kept for an hour must not hold the memory of a request.
func TestAnswersDoNotHoldRequests(t *testing.T) {
	line := "/rooms/demo/channels/c?to=nobody&" + strings.Repeat("x", 1<<10)
	r := httptest.NewRequest(http.MethodPost, line, nil)
	r.SetPathValue("channel", "c")
	m, why := new(visit).posted(r)
	if why != nil {
		t.Fatal(why.detail)
	}
	within := func(s, whole string) bool {
		start := uintptr(unsafe.Pointer(unsafe.StringData(whole)))
		at := uintptr(unsafe.Pointer(unsafe.StringData(s)))
		return at >= start && at < start+uintptr(len(whole))
	}
	if len(m.to) != 1 || m.to[0] != "nobody" || within(m.to[0], r.URL.RawQuery) {
		t.Errorf("the recipients %q lie in the request", m.to)
	}
}

// Answers that are too old are not kept until somebody asks for them again.
func TestOldAnswersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAnswers()
		for i := range 100 {
			key := digestOf(fmt.Sprint(i))
			place, _, _ := a.begin(key, digestOf())
			a.end(key, place, &receipt{Results: []receiptResult{{Peer: "p"}}})
		}
		time.Sleep(answerLife + time.Second)
		a.begin(digestOf("new"), digestOf())
		if a.kept.Len() != 1 || a.bytes != 0 {
			t.Errorf("%d answers of %d bytes are left", a.kept.Len(), a.bytes)
		}
	})
}
