package rtc_test

import (
	"bytes"
	"runtime"
	"testing"
)

// Links that carry frames only run nothing of what media needs, of which each
// connection has its own.
func TestLinksWithoutMediaRunNoInterceptors(t *testing.T) {
	before := runtime.NumGoroutine()
	linked(t, transport(t), transport(t))
	t.Logf("%d goroutines with a link", runtime.NumGoroutine()-before)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if bytes.Contains(stacks, []byte("pion/interceptor")) {
		t.Errorf("an interceptor runs:\n%s", stacks)
	}
}
