package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

// scrape reads the metrics as Prometheus does.
func (c *caddyServer) scrape() map[string]*dto.MetricFamily {
	c.t.Helper()
	status, body := get(c.t, "http://"+c.admin+"/metrics", nil)
	if status != 200 {
		c.t.Fatalf("/metrics: %d %s", status, body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	return families
}

// value finds a sample by the value of its label, if it has one.
func value(families map[string]*dto.MetricFamily, name, label string) float64 {
	for _, m := range families["caddy_genosrtc_"+name].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetValue() == label {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		if label == "" {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return -1
}

// Metrics say what happens, and go on counting over reloads, with and without the
// site that was counted.
func TestMetrics(t *testing.T) {
	c := newAdmin(t)
	c.load(demo)
	alice, bob := testclient.Join(t, c.url, "demo", ""), testclient.Join(t, c.url, "demo", "")
	alice.Say("counted", bob)
	testclient.Dial(t, c.url, "nowhere", nil)
	check := func(when string, want map[string]float64) {
		t.Helper()
		got := c.scrape()
		for series, n := range want {
			name, label, _ := strings.Cut(series, " ")
			if v := value(got, name, label); v != n {
				t.Errorf("%s: %s is %v, not %v", when, series, v, n)
			}
		}
	}
	want := map[string]float64{
		"rooms": 1, "peers session": 2, "peers reader": 0, "sessions": 2, "sessions_opened_total": 2, "messages_total out": 1,
		"sessions_refused_total room": 1, "signaling_connected local": 1, "links_opening": 0,
	}
	check("at first", want)
	for i := range 3 {
		c.load(fmt.Sprintf("genosrtc {\nroom demo\nroom room-%d\n}", i))
	}
	alice.Say("counted on", bob)
	want["rooms"], want["messages_total out"] = 2, 2
	check("after reloads", want)

	c.load("genosrtc /other {\nroom demo\n}")
	want["rooms"], want["sessions"] = 1, 0
	delete(want, "peers session") // they wait to be resumed
	check("without the site", want)

	if err := caddy.Load(c.config("genosrtc {\nroom demo\n}", "public_ip 192.0.2.1", ""), true); err == nil {
		t.Fatal("what cannot change was changed")
	}
	check("after a reload that failed", want)
}

// exported are the names of all metrics.
func exported() map[string]metric {
	all := make(map[string]metric)
	for _, m := range metrics {
		all[m.name] = m
	}
	return all
}

// The names are as Prometheus has them, and none is there twice.
func TestMetricNames(t *testing.T) {
	if len(exported()) != len(metrics) {
		t.Error("a name is there twice")
	}
	registry := prometheus.NewPedanticRegistry()
	n := new(node)
	for range 2 {
		if err := n.register(registry); err != nil {
			t.Error(err)
		}
	}
	var families []*dto.MetricFamily
	for _, m := range metrics {
		kind := dto.MetricType_GAUGE
		if m.kind == prometheus.CounterValue {
			kind = dto.MetricType_COUNTER
		}
		families = append(families, &dto.MetricFamily{Name: &m.name, Help: &m.help, Type: &kind})
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Error(err, problems)
	}
}

var metricName = regexp.MustCompile(`caddy_genosrtc_\w+`)

// Each query of the dashboard is about metrics and labels that there are, and what is
// exported is documented.
func TestDashboard(t *testing.T) {
	raw, err := os.ReadFile("../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	all, used := exported(), 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			names := metricName.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: %q has no metric of ours", p.Title, target.Expr)
			}
			var labels []string
			for _, name := range names {
				m, ok := all[name]
				if !ok {
					t.Errorf("%s: there is no %s", p.Title, name)
				}
				labels = append(labels, m.labels...)
				used++
			}
			for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(target.Expr, -1) {
				for label := range strings.SplitSeq(by[1], ",") {
					if label = strings.TrimSpace(label); label != "instance" && !slices.Contains(labels, label) {
						t.Errorf("%s: %v have no label %s", p.Title, names, label)
					}
				}
			}
		}
	}
	if used < 20 {
		t.Errorf("the dashboard uses %d metrics", used)
	}
	operations, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.Contains(string(operations), strings.TrimPrefix(name, "caddy_genosrtc_")) {
			t.Errorf("docs/operations.md does not tell of %s", name)
		}
	}
}
