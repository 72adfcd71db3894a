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
	goleak.VerifyTestMain(m)
}
