package main

// largest returns the greatest size that holds, to 1/20 of it: it grows from a
// first guess by half until a size does not, and halves the rest. It returns 0
// if not even size 1 holds.
func largest(guess int, holds func(size int) (bool, error)) (int, error) {
	low, high := 0, 0 // low holds; high does not, unless it is 0
	for high == 0 || high-low > max(low/20, 1) {
		size := guess
		switch {
		case high == 0 && low > 0:
			size = low + max(low/2, 1)
		case high > 0:
			size = (low + high) / 2
		}
		ok, err := holds(size)
		switch {
		case err != nil:
			return 0, err
		case ok:
			low = size
		default:
			high = size
		}
	}
	return low, nil
}
