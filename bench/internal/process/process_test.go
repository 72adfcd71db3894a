package process

import (
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The tests' own program is the child.
func TestMain(m *testing.M) {
	if os.Getenv("PROCESS_TEST_CHILD") != "" {
		time.Sleep(time.Hour)
	}
	goleak.VerifyTestMain(m)
}

func TestStopEndsTheChild(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(t.Context(), "", []string{"PROCESS_TEST_CHILD=1"}, self)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Ended():
		t.Fatal("ended by itself")
	default:
	}
	p.Stop()
	<-p.Ended()
	if p.err == nil {
		t.Error("a child that was killed by a signal has no error")
	}
	p.Stop() // again
}

func TestParseCPU(t *testing.T) {
	line := "4711 (a ) name (x) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0"
	if got, err := parseCPU([]byte(line)); err != nil || got != 1.75 {
		t.Errorf("%v s, %v; want 1.75", got, err)
	}
	for _, bad := range []string{"", "1 (x) S", "1 (x) S 1 2 3 4 5 6 7 8 9 10 a b", "no brackets"} {
		if got, err := parseCPU([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestMemoryField(t *testing.T) {
	status := []byte("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t    512 kB\n")
	if got := memoryField(status, "VmRSS:"); got != 0.5 {
		t.Errorf("VmRSS %v", got)
	}
	if got := memoryField(status, "VmSwap:"); !math.IsNaN(got) {
		t.Errorf("a field that is not there: %v", got)
	}
}

func TestOwnFigures(t *testing.T) {
	now, peak := Memory(Self())
	cpu := CPU(Self())
	if runtime.GOOS != "linux" {
		if !math.IsNaN(now) || !math.IsNaN(cpu) || !math.IsNaN(Written(Self())) || !math.IsNaN(Dirtied(Self())) {
			t.Errorf("%v MiB, %v s", now, cpu)
		}
		return
	}
	if written, dirtied := Written(Self()), Dirtied(Self()); !(written >= 0) || !(dirtied >= 0) {
		t.Errorf("%v bytes written, %v dirtied", written, dirtied)
	}
	if !(now > 1) || !(peak >= now) || !(cpu >= 0) {
		t.Errorf("%v MiB now, %v at the peak, %v s", now, peak, cpu)
	}
}

func TestStartSaysWhatFailed(t *testing.T) {
	if _, err := Start(t.Context(), "", nil, "/nonexistent/program"); err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
		t.Errorf("error %v", err)
	}
}
