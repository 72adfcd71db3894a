package handler

import (
	"sync"
	"time"
)

// socketPingEvery is how often a client is pinged. One from which nothing at all
// came since the last ping is gone.
const socketPingEvery = 20 * time.Second

var pingFrame = []byte{opPing, 0}

// keepAlive pings the client of a socket, and aborts if there is no sign of life.
// It is a timer, as a goroutine for each session would be memory for nothing.
type keepAlive struct {
	socket  *socket
	asked   time.Time // of the ticks, which come one after the other
	running sync.WaitGroup

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// startKeepAlive begins. The result has to be stopped.
func startKeepAlive(s *socket) *keepAlive {
	k := &keepAlive{socket: s}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running.Add(1)
	k.timer = time.AfterFunc(socketPingEvery, k.tick)
	return k
}

func (k *keepAlive) tick() {
	defer k.running.Done()
	if !k.asked.IsZero() && k.socket.silentSince(k.asked) {
		k.socket.abort()
		return
	}
	k.asked = time.Now()
	if _, err := k.socket.conn.Write(pingFrame); err != nil {
		return // who reads or writes notices too
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.stopped {
		k.running.Add(1)
		k.timer.Reset(socketPingEvery)
	}
}

// stop ends it, and waits for a tick that runs.
func (k *keepAlive) stop() {
	k.mu.Lock()
	k.stopped = true
	if k.timer.Stop() {
		k.running.Done()
	}
	k.mu.Unlock()
	k.running.Wait()
}
