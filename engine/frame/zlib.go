package frame

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// errFull stops a compressor whose output would be of no use.
var errFull = errors.New("buffer is full")

// boundedBuffer is a writer that takes no more than limit bytes.
type boundedBuffer struct {
	b     []byte
	limit int
}

func (w *boundedBuffer) Write(p []byte) (int, error) {
	if len(w.b)+len(p) > w.limit {
		return 0, errFull
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// A deflater compresses into a buffer of its own, which is reused.
type deflater struct {
	w   *zlib.Writer
	out boundedBuffer
}

// On JSON the fastest level takes half the time of the default one, for the
// same size within a few percent; of what is large and like itself, a tenth.
var fast, dense = deflaters(zlib.BestSpeed), deflaters(7)

func deflaters(level int) *sync.Pool {
	return &sync.Pool{New: func() any {
		w, _ := zlib.NewWriterLevel(nil, level) // fails for unknown levels only
		return &deflater{w: w}
	}}
}

// deflate leaves data compressed in out, unless it takes more than limit bytes.
func (d *deflater) deflate(data []byte, limit int) bool {
	d.out = boundedBuffer{b: d.out.b[:0], limit: limit}
	d.w.Reset(&d.out)
	if _, err := d.w.Write(data); err != nil {
		return false
	}
	return d.w.Close() == nil
}

// An inflater is a reusable decompressor. It lets go of its input after use.
type inflater struct {
	in bytes.Reader
	zr io.ReadCloser // nil before the first use
}

func (f *inflater) open(data []byte) (err error) {
	f.in.Reset(data)
	if f.zr == nil {
		f.zr, err = zlib.NewReader(&f.in)
		return err
	}
	return f.zr.(zlib.Resetter).Reset(&f.in, nil)
}

// segment is a piece of scratch memory. Inflating into borrowed segments, and
// copying once when the size is known, leaves no garbage but the result.
type segment [64 * 1024]byte

var (
	inflaters = sync.Pool{New: func() any { return new(inflater) }}
	segments  = sync.Pool{New: func() any { return new(segment) }}
)

// inflate returns what data was before it was compressed, in memory of its
// own. It gives up, with ErrInflated, as soon as that is more than limit bytes.
func inflate(data []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer func() {
		f.in.Reset(nil)
		inflaters.Put(f)
	}()
	if err := f.open(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrZlib, err)
	}
	var held []*segment
	defer func() {
		for _, s := range held {
			segments.Put(s)
		}
	}()
	size, err := 0, error(nil)
	for err == nil && size <= limit {
		at := size % len(segment{})
		if size == len(held)*len(segment{}) {
			held = append(held, segments.Get().(*segment))
		}
		var n int
		n, err = f.zr.Read(held[len(held)-1][at:])
		size += n
	}
	switch {
	case size > limit:
		return nil, fmt.Errorf("%w: %d bytes give more than %d", ErrInflated, len(data), limit)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: %w", ErrZlib, err)
	}
	out := make([]byte, 0, size)
	for _, s := range held {
		out = append(out, s[:min(len(s), size-len(out))]...)
	}
	return out, nil
}
