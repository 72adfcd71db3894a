package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// cutter is a way to the server whose connections can be cut.
type cutter struct {
	client *http.Client

	mu    sync.Mutex
	conns map[net.Conn]bool
	n     int // cuts so far

	bytes atomic.Int64 // both ways
}

func newCutter() *cutter {
	k := &cutter{conns: map[net.Conn]bool{}}
	k.client = &http.Client{Transport: &http.Transport{DialContext: k.dial, DisableKeepAlives: true}}
	return k
}

func (k *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns[c] = true
	return &cutConn{c, k}, nil
}

// cut resets one of the connections, wherever in its bytes it is.
func (k *cutter) cut(rng *rand.Rand) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.conns) == 0 {
		return
	}
	i := rng.IntN(len(k.conns))
	for c := range k.conns {
		if i--; i < 0 {
			_ = c.(*net.TCPConn).SetLinger(0) // the other side gets a reset
			c.Close()
			delete(k.conns, c)
			k.n++
			return
		}
	}
}

func (k *cutter) cuts() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

type cutConn struct {
	net.Conn
	k *cutter
}

func (c *cutConn) Close() error {
	c.k.mu.Lock()
	delete(c.k.conns, c.Conn)
	c.k.mu.Unlock()
	return c.Conn.Close()
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.k.bytes.Add(int64(n))
	return n, err
}

func (c *cutConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.k.bytes.Add(int64(n))
	return n, err
}
