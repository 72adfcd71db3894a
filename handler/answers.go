package handler

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
	"unsafe"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// answerLife is how long an answer is kept for a request that is repeated.
	answerLife = time.Hour
	maxAnswers = 10_000
	// maxAnswerBytes is the memory that the results in all answers may take.
	maxAnswerBytes = 16 << 20
	// maxKey is the length of an Idempotency-Key, in bytes.
	maxKey = 255
)

var (
	underWay     = &refusal{reason: "request", status: http.StatusConflict, retryAfter: "1", detail: "a request with this Idempotency-Key is under way"}
	otherRequest = &refusal{reason: "request", status: http.StatusUnprocessableEntity, detail: "this Idempotency-Key was used for another request"}
)

// answers remembers what requests with an Idempotency-Key were answered
// (draft-ietf-httpapi-idempotency-key-header), for answerLife. Beyond maxAnswers or
// maxAnswerBytes the oldest is forgotten.
type answers struct {
	mu    sync.Mutex
	kept  *lru.LRU[digest, *keptAnswer] // in the order in which they began
	bytes int                           // of the results in them
}

type digest = [sha256.Size]byte

type keptAnswer struct {
	request digest
	at      time.Time
	done    bool
	answer  receipt
}

func newAnswers() *answers {
	a := new(answers)
	var err error
	a.kept, err = lru.NewLRU(maxAnswers, func(_ digest, place *keptAnswer) { a.bytes -= place.answer.size() })
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return a
}

// size is the memory, in bytes, that the results of an answer are counted with.
func (r *receipt) size() int {
	size := 0
	for _, result := range r.Results {
		size += int(unsafe.Sizeof(result)) + len(result.Peer) // errors are constants
	}
	return size
}

// begin tells what a request with a key was answered. If it is the first, it gets
// a place, which end must be called with.
func (a *answers) begin(key, request digest) (place *keptAnswer, known bool, why *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for _, oldest, ok := a.kept.GetOldest(); ok && now.Sub(oldest.at) > answerLife; _, oldest, ok = a.kept.GetOldest() {
		a.kept.RemoveOldest()
	}
	place, known = a.kept.Peek(key)
	switch {
	case !known:
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
	if now, _ := a.kept.Peek(key); now != place {
		return // it is forgotten already
	}
	if answer == nil {
		a.kept.Remove(key)
		return
	}
	place.done, place.answer = true, *answer
	a.bytes += answer.size()
	for a.bytes > maxAnswerBytes {
		a.kept.RemoveOldest()
	}
}
