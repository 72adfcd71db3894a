package store

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(helperPath); path != "" {
		helper(path)
		return
	}
	if path := os.Getenv(graphHelperPath); path != "" {
		graphHelper(path)
		return
	}
	goleak.VerifyTestMain(m)
}
