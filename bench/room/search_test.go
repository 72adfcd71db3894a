package main

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestLargest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 20_000).Draw(t, "limit")
		guess := rapid.IntRange(1, 5000).Draw(t, "guess")
		calls := 0
		got, err := largest(guess, func(size int) (bool, error) {
			if calls++; calls > 60 || size < 1 {
				t.Fatalf("call %d with size %d", calls, size)
			}
			return size <= limit, nil
		})
		if err != nil || got > limit || limit-got > max(limit/20, 1) {
			t.Fatalf("%d, %v; the limit is %d", got, err, limit)
		}
	})
}

func TestLargestEndsAtAnError(t *testing.T) {
	boom := errors.New("boom")
	if _, err := largest(10, func(int) (bool, error) { return false, boom }); !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
}
