package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// load is what is put on a bridge.
type load struct {
	name   string
	toLink bool // from the session; else the other way
	size   int  // bytes of data in a message
	rate   int  // messages per second, to measure their latency; 0: as fast as it goes
}

// frameData is the data of a message that fills one frame of 16 KiB.
const frameData = 16384 - 15

var loads = []load{
	{name: "bulk to link", toLink: true, size: frameData},
	{name: "bulk to session", size: frameData},
	{name: "large to link", toLink: true, size: 1_500_000},
	{name: "large to session", size: 1_500_000},
	{name: "small to link", toLink: true, size: 100},
	{name: "small to session", size: 100},
	{name: "latency to link", toLink: true, size: 100, rate: 1000},
	{name: "latency to session", size: 100, rate: 1000},
}

// Messages under way are bounded in bytes and in number, as what a session or a
// link does not take in time is refused.
const (
	underWay         = 4 << 20
	messagesUnderWay = 4096
	warmUp           = 300 * time.Millisecond
)

// result is what one load on one bridge gave.
type result struct {
	seconds  float64
	messages float64
	bytes    float64 // of data
	cpu      float64 // seconds, of the bridge
	driver   float64 // seconds of CPU, of the driver
	mallocs  float64
	p50, p99 time.Duration // of latency, for a load with a rate
}

func (r result) String() string {
	s := fmt.Sprintf("%6.1f MB/s %7.0f/s %5.1f+%.1f us CPU %5.1f allocs", r.bytes/r.seconds/1e6, r.messages/r.seconds,
		r.cpu/r.messages*1e6, r.driver/r.messages*1e6, r.mallocs/r.messages)
	if r.p50 > 0 {
		s += fmt.Sprintf(" p50 %v p99 %v", r.p50, r.p99)
	}
	return s
}

// run puts the load on a bridge.
func (l load) run(b *bridge) (r result, err error) {
	from, to := b.link, b.session
	if l.toLink {
		from, to = to, from
	}
	// The bare bridge knows no messages, only what would be their frames.
	size := l.size
	if b.kind.bare {
		size = min(size, frameData)
	}
	send := from.prepare(size)
	if _, err := l.drive(send, to, size, warmUp); err != nil {
		return r, err
	}
	wait := b.profiled()
	before, err := b.usage()
	if err != nil {
		return r, err
	}
	own := used()
	if r, err = l.drive(send, to, size, *duration); err != nil {
		return r, err
	}
	r.driver = used().CPU - own.CPU
	after, err := b.usage()
	r.cpu, r.mallocs = after.CPU-before.CPU, float64(after.Mallocs-before.Mallocs)
	return r, errors.Join(err, wait())
}

// drive sends for some time and waits until everything has arrived.
func (l load) drive(send func(uint64) error, to *ear, size int, d time.Duration) (r result, err error) {
	window := min(messagesUnderWay, max(2, underWay/size))
	to.begin(l.rate > 0)
	began := time.Now()
	sent := 0
	for now := began; now.Sub(began) < d; now = time.Now() {
		if l.rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(sent) * time.Second / time.Duration(l.rate))))
			now = time.Now()
		} else if err := to.await(sent - window + 1); err != nil {
			return r, err
		}
		if err := send(uint64(now.UnixNano())); err != nil {
			return r, err
		}
		sent++
	}
	if err := to.await(sent); err != nil {
		return r, err
	}
	r = result{seconds: time.Since(began).Seconds(), messages: float64(sent), bytes: float64(sent * size)}
	if l.rate > 0 {
		r.p50, r.p99 = percentiles(to.latencies)
	}
	return r, nil
}

func percentiles(of []time.Duration) (p50, p99 time.Duration) {
	slices.Sort(of)
	return of[len(of)/2], of[len(of)*99/100]
}
