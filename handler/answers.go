package handler

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// answerLife is how long an answer is kept for a request that is repeated.
	answerLife = time.Hour
	maxAnswers = 10_000
	// maxKey is the length of an Idempotency-Key, in bytes.
	maxKey = 255
)

var (
	underWay     = &refusal{reason: "request", status: http.StatusConflict, retryAfter: "1", detail: "a request with this Idempotency-Key is under way"}
	otherRequest = &refusal{reason: "request", status: http.StatusUnprocessableEntity, detail: "this Idempotency-Key was used for another request"}
)

// answers remembers what requests with an Idempotency-Key were answered
// (draft-ietf-httpapi-idempotency-key-header), for answerLife. Of more than
// maxAnswers the one that was not asked for for longest is forgotten.
type answers struct {
	mu   sync.Mutex
	kept *lru.LRU[digest, *keptAnswer]
}

type digest = [sha256.Size]byte

type keptAnswer struct {
	request digest
	at      time.Time
	done    bool
	answer  receipt
}

func newAnswers() *answers {
	kept, err := lru.NewLRU[digest, *keptAnswer](maxAnswers, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &answers{kept: kept}
}

// begin tells what a request with a key was answered. If it is the first, it gets
// a place, which end must be called with.
func (a *answers) begin(key, request digest) (place *keptAnswer, known bool, why *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	place, known = a.kept.Get(key)
	switch {
	case !known || place.done && now.Sub(place.at) > answerLife:
		place = &keptAnswer{request: request, at: now}
		a.kept.Add(key, place)
		return place, false, nil
	case place.request != request:
		return nil, false, otherRequest
	case !place.done:
		return nil, false, underWay
	}
	return place, true, nil
}

// end keeps the answer. Without one, as the request came to nothing, it may be
// tried again.
func (a *answers) end(key digest, place *keptAnswer, answer *receipt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer != nil {
		place.done, place.answer = true, *answer
	} else if now, _ := a.kept.Peek(key); now == place {
		a.kept.Remove(key)
	}
}
