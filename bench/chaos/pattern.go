package main

import (
	"fmt"
	"io"
	"math/rand/v2"
)

// pattern is a file of any size whose bytes follow from its number and their
// offset.
type pattern struct {
	block []byte
	size  int64
}

const patternBlock = 1<<20 - 3 // no multiple of any chunk

func newPattern(number uint64, size int64) *pattern {
	p := &pattern{make([]byte, patternBlock), size}
	_, _ = rand.NewChaCha8([32]byte{byte(number), byte(number >> 8)}).Read(p.block)
	return p
}

func (p *pattern) ReadAt(b []byte, offset int64) (int, error) {
	n := 0
	for n < len(b) && offset < p.size {
		part := p.block[offset%patternBlock:]
		part = part[:min(int64(len(part)), int64(len(b)-n), p.size-offset)]
		n += copy(b[n:], part)
		offset += int64(len(part))
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt compares what arrives with what should.
func (p *pattern) WriteAt(b []byte, offset int64) (int, error) {
	want := make([]byte, len(b))
	if n, _ := p.ReadAt(want, offset); n < len(b) || string(want) != string(b) {
		return 0, fmt.Errorf("the bytes at %d are wrong", offset)
	}
	return len(b), nil
}
