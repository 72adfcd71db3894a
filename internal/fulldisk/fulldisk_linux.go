// Package fulldisk has a test find its disk full. What stands for the disk is a
// limit on the size of files, which is for all files of a process.
package fulldisk

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

const alone = "GENOSRTC_TEST_ALONE"

// Alone runs the test that calls it in a process of its own, and fails if that
// does. It reports false there, where the test goes on.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alone) != "" {
		return false
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), alone+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return true
}

// After lets no file of the process grow beyond a number of bytes, until the disk
// has room again.
func After(t *testing.T, bytes int64) (room func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit(syscall.Rlimit{Cur: uint64(bytes), Max: before.Max})
	return func() { limit(before) }
}
