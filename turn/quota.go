package turn

import (
	"sync"
)

// quota counts allocations: in all, of users, and of addresses. What it holds is
// bounded by the first.
type quota struct {
	mu        sync.Mutex
	total     int
	byUser    map[string]int
	byAddress map[string]int
}

// full tells which limit leaves no room for one more allocation of an owner; "" if none.
func (q *quota) full(owner string, l Limits) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.judge(owner, l)
}

// take counts an allocation in, until give, unless a limit leaves no room.
func (q *quota) take(owner string, l Limits) (why string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if why := q.judge(owner, l); why != "" {
		return why
	}
	if q.byUser == nil {
		q.byUser, q.byAddress = make(map[string]int), make(map[string]int)
	}
	user, address := splitOwner(owner)
	q.total++
	q.byUser[user]++
	q.byAddress[address]++
	return ""
}

// judge needs the lock.
func (q *quota) judge(owner string, l Limits) string {
	user, address := splitOwner(owner)
	switch {
	case q.total >= l.Allocations:
		return "allocations"
	case q.byUser[user] >= l.PerUser:
		return "user"
	case q.byAddress[address] >= l.PerAddress:
		return "address"
	}
	return ""
}

func (q *quota) give(owner string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	user, address := splitOwner(owner)
	q.total--
	if q.byUser[user]--; q.byUser[user] == 0 {
		delete(q.byUser, user)
	}
	if q.byAddress[address]--; q.byAddress[address] == 0 {
		delete(q.byAddress, address)
	}
}

func (q *quota) taken() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}
