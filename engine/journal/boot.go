package journal

import (
	"bytes"
	"encoding/hex"
	"os"
	"sync"
)

// bootID is random for each start of the machine (random(4), boot_id). While it
// stays the same, the system's memory has what was written but not synced. It is
// zero where the system has none; there an offset may be used twice after a power
// cut.
var bootID = sync.OnceValue(func() (id [16]byte) {
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		if b = bytes.ReplaceAll(bytes.TrimSpace(b), []byte("-"), nil); len(b) == 32 {
			hex.Decode(id[:], b)
		}
	}
	return id
})
