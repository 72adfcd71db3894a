package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/genosrtc/caddy-genosrtc"
)

// metric is one that we export, and where its values are.
type metric struct {
	name, help string
	labels     []string
	kind       prometheus.ValueType
	values     func(*genosrtc.Stats, emit)
	desc       *prometheus.Desc
}

// emit takes a value, with the values of its labels.
type emit func(value float64, labels ...string)

// number is any number of Stats.
type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

func newMetric(kind prometheus.ValueType, name, help string, labels []string, values func(*genosrtc.Stats, emit)) metric {
	name = "caddy_genosrtc_" + name
	return metric{name, help, labels, kind, values, prometheus.NewDesc(name, help, labels, nil)}
}

func gauge[N number](name, help string, value func(*genosrtc.Stats) N) metric {
	return newMetric(prometheus.GaugeValue, name, help, nil, func(s *genosrtc.Stats, e emit) { e(float64(value(s))) })
}

func counter[N number](name, help string, value func(*genosrtc.Stats) N) metric {
	return newMetric(prometheus.CounterValue, name, help, nil, func(s *genosrtc.Stats, e emit) { e(float64(value(s))) })
}

// counters is counter with one label, whose values are few and known.
func counters[K ~string](name, help, label string, values func(*genosrtc.Stats) map[K]uint64) metric {
	return newMetric(prometheus.CounterValue, name, help, []string{label}, func(s *genosrtc.Stats, e emit) {
		for k, n := range values(s) {
			e(float64(n), string(k))
		}
	})
}

// collector reads the statistics of a node's server when it is scraped. The server
// outlives reloads, each of which has a registry of its own, and so do its totals.
type collector struct{ node *node }

// Describe implements prometheus.Collector.
func (collector) Describe(c chan<- *prometheus.Desc) {
	for _, m := range metrics {
		c <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (o collector) Collect(c chan<- prometheus.Metric) {
	server := o.node.running.Load()
	if server == nil {
		return
	}
	stats := server.Stats()
	for _, m := range metrics {
		m.values(&stats, func(value float64, labels ...string) {
			c <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
		})
	}
}

// register has the metrics of a node be scraped.
func (n *node) register(r *prometheus.Registry) error {
	err := r.Register(collector{n})
	if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		return nil
	}
	return err
}
