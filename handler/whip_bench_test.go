package handler

import (
	"slices"
	"testing"
	"time"
)

// How long it takes from nothing to the welcome, on loopback: with WebRTC that is
// gathering, the POST, ICE, DTLS, SCTP and hello.
func BenchmarkWelcome(b *testing.B) {
	for name, enter := range map[string]func(s *site) func(){
		"WebSocket": func(s *site) func() {
			c := s.enter()
			return func() { c.ws.CloseNow() }
		},
		"WebRTC": func(s *site) func() {
			v := s.enterWHIP()
			return func() { _ = v.pc.GracefulClose() }
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := serveWHIP(b, Config{Settings: Settings{Limits: Limits{SessionsPerAddress: 1 << 20}}})
			var took []time.Duration
			for b.Loop() {
				begun := time.Now()
				leave := enter(s)
				took = append(took, time.Since(begun))
				leave()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
		})
	}
}
