package handler

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
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
	keep := func(name string) {
		place, known, why := a.begin(digestOf(name), digestOf())
		if !known && why == nil {
			a.end(digestOf(name), place, &receipt{})
		}
	}
	keep("used")
	keep("first")
	for i := range maxAnswers - 1 {
		if i%1000 == 0 {
			keep("used")
		}
		keep(string(rune(i + 0x10000)))
	}
	if n := a.kept.Len(); n != maxAnswers {
		t.Errorf("%d answers", n)
	}
	if _, known, _ := a.begin(digestOf("used"), digestOf()); !known {
		t.Error("one that is asked for was forgotten")
	}
	if _, known, _ := a.begin(digestOf("first"), digestOf()); known {
		t.Error("the oldest is still there")
	}
	if digestOf("a", "b") == digestOf("ab") || digestOf("", "a") == digestOf("a", "") {
		t.Error("different requests look alike")
	}
}
