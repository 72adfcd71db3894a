package store

import (
	"fmt"
	"runtime/debug"
)

// guard turns into errors what bbolt answers to a damaged file with: panics, and
// faults of its memory map.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return f()
}
