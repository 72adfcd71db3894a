package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
	"github.com/genosrtc/caddy-genosrtc/engine/memnet"
	"github.com/genosrtc/caddy-genosrtc/internal/bulk"
	"github.com/genosrtc/caddy-genosrtc/internal/shaped"
)

// shapedPath is the link on which small messages and a bulk transfer share.
var shapedPath = shaped.Path{RTT: 50 * time.Millisecond, Rate: 20e6}

const (
	p50, p99 = "small messages, p50 ms", "small messages, p99 ms"
	bulkRate = "bulk, MB/s"
)

// measureShaped measures small messages beside a bulk transfer, and each alone.
func measureShaped(n int, d time.Duration, out, progress io.Writer) error {
	names := []string{"both", "alone"}
	results, err := rounds.Run(n, names, progress, func(_ int, name string) (rounds.Values, error) {
		if name == "both" {
			m, err := mix(d, true, true)
			return rounds.Values{p50: ms(m.P50), p99: ms(m.P99), bulkRate: m.Rate / 1e6}, err
		}
		b, err := mix(d, true, false)
		if err != nil {
			return nil, err
		}
		s, err := mix(d, false, true)
		return rounds.Values{p50: ms(s.P50), p99: ms(s.P99), bulkRate: b.Rate / 1e6}, err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "one link over pion, %g Mbit/s, %s there and back, %s each\n", float64(shapedPath.Rate)/1e6, shapedPath.RTT, d)
	return results.Print(out, []rounds.Metric{{Name: p50, Decimals: 1}, {Name: p99, Decimals: 1}, {Name: bulkRate, Decimals: 3}})
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// mix makes a link on the path and puts load on it.
func mix(d time.Duration, big, small bool) (m bulk.Mixed, err error) {
	n, err := shaped.New(shapedPath)
	if err != nil {
		return m, err
	}
	signaling := memnet.New()
	l, err := bulk.New(context.Background(),
		bulk.End{Signaling: signaling.Endpoint("from"), Transport: n.Ends[0]},
		bulk.End{Signaling: signaling.Endpoint("to"), Transport: n.Ends[1]})
	if err != nil {
		return m, errors.Join(err, n.Close())
	}
	m, err = l.Mix(context.Background(), d, big, small)
	return m, errors.Join(err, l.Close(), n.Close())
}
