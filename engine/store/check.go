package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// check reads the whole file, if there is one, and writes nothing. bbolt trusts what
// it reads: a wrong list of free pages makes it write over good ones, and a wrong
// length makes it read outside of the file, which ends the process (so does its own
// Tx.Check, whose goroutine nobody can guard). The format is that of
// go.etcd.io/bbolt/internal/common, version 2.
func check(path string, log *slog.Logger) error {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if err != nil && !errors.Is(err, bolterrors.ErrTimeout) && !errors.As(err, new(*os.PathError)) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	defer db.Close() // it holds the lock
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c := &checker{f: f, pageSize: int64(db.Info().PageSize)}
	fellBack, err := c.run()
	if err != nil && !errors.As(err, new(*os.PathError)) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if fellBack {
		log.Warn("the store's newest state is damaged, the one before it is used: the last commit may be lost", "file", path)
	}
	return err
}

const (
	pageHeader = 16 // id u64, flags u16, count u16, overflow u32
	element    = 16 // of branches: pos, key size u32, page u64; of leaves: flags, pos, key size, value size u32
	metaSum    = 56 // where the checksum stands in a meta

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	noFreelist = 1<<64 - 1 // in a meta, for the page of the list
)

var native = binary.NativeEndian // so is bbolt's

type checker struct {
	f        *os.File
	pageSize int64
	owned    []bool // by page: whether it belongs to something
}

// run says with fellBack that the newer of the two roots is not good, so that bbolt
// uses the one before it.
func (c *checker) run() (fellBack bool, err error) {
	var meta []byte
	good := 0
	for id := range int64(2) {
		m := make([]byte, metaSum+8)
		if _, err := c.f.ReadAt(m, id*c.pageSize+pageHeader); err != nil {
			return false, fmt.Errorf("root %d: %w", id, err)
		}
		h := fnv.New64a()
		h.Write(m[:metaSum])
		if h.Sum64() != native.Uint64(m[metaSum:]) {
			continue
		}
		if good++; meta == nil || txid(m) > txid(meta) {
			meta = m
		}
	}
	if meta == nil {
		return false, errors.New("no root is good")
	}
	pages := native.Uint64(meta[40:])
	info, err := c.f.Stat()
	if err != nil {
		return false, err
	}
	if have := uint64(info.Size() / c.pageSize); have < pages {
		return false, fmt.Errorf("%d pages of %d are there", have, pages)
	}
	c.owned = make([]bool, pages)
	c.owned[0], c.owned[1] = true, true
	if err := c.tree(native.Uint64(meta[16:]), nil, nil); err != nil {
		return false, err
	}
	free := native.Uint64(meta[32:])
	if free == noFreelist { // every page that belongs to nothing is free
		return good < 2, nil
	}
	if err := c.free(free); err != nil {
		return false, err
	}
	for id, owned := range c.owned {
		if !owned {
			return false, fmt.Errorf("page %d belongs to nothing", id)
		}
	}
	return good < 2, nil
}

func txid(meta []byte) uint64 { return native.Uint64(meta[48:]) }

// own notes that a page belongs to something, which must not happen twice.
func (c *checker) own(id uint64) error {
	if id >= uint64(len(c.owned)) {
		return fmt.Errorf("page %d of %d", id, len(c.owned))
	}
	if c.owned[id] {
		return fmt.Errorf("page %d belongs to two", id)
	}
	c.owned[id] = true
	return nil
}

// page reads a page with those that it overflows into.
func (c *checker) page(id uint64) ([]byte, error) {
	if err := c.own(id); err != nil {
		return nil, err
	}
	b := make([]byte, c.pageSize)
	if _, err := c.f.ReadAt(b, int64(id)*c.pageSize); err != nil {
		return nil, err
	}
	if got := native.Uint64(b); got != id {
		return nil, fmt.Errorf("page %d says that it is %d", id, got)
	}
	more := uint64(native.Uint32(b[12:]))
	for i := range more {
		if err := c.own(id + 1 + i); err != nil {
			return nil, fmt.Errorf("page %d and %d more: %w", id, more, err)
		}
	}
	if more > 0 {
		b = make([]byte, int64(1+more)*c.pageSize)
		if _, err := c.f.ReadAt(b, int64(id)*c.pageSize); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// tree goes through a page of a tree and what is below. Its keys are at least low and
// less than high, where these are not nil.
func (c *checker) tree(id uint64, low, high []byte) error {
	b, err := c.page(id)
	if err != nil {
		return err
	}
	if err := c.keys(b, low, high); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// keys goes through the elements of a page, which may be one within a value.
func (c *checker) keys(b, low, high []byte) error {
	if len(b) < pageHeader {
		return fmt.Errorf("%d bytes", len(b))
	}
	flags, n := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	if flags != branchPage && flags != leafPage || pageHeader+n*element > len(b) || flags == branchPage && n == 0 {
		return fmt.Errorf("flags %x and %d elements", flags, n)
	}
	key := func(i int) (k, rest []byte, err error) {
		at := pageHeader + i*element
		e := b[at:]
		pos, size := uint64(native.Uint32(e)), uint64(native.Uint32(e[4:]))
		if flags == leafPage {
			pos, size = uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:]))
		}
		if pos < element || uint64(at)+pos+size > uint64(len(b)) {
			return nil, nil, fmt.Errorf("element %d lies outside", i)
		}
		k = e[pos : pos+size]
		if i == 0 && low != nil && bytes.Compare(k, low) < 0 || i > 0 && bytes.Compare(k, low) <= 0 || high != nil && bytes.Compare(k, high) >= 0 {
			return nil, nil, fmt.Errorf("element %d is out of order", i)
		}
		return k, e[pos+size:], nil
	}
	for i := range n {
		k, rest, err := key(i)
		if err != nil {
			return err
		}
		low = k
		e := b[pageHeader+i*element:]
		if flags == branchPage {
			next := high
			if i+1 < n {
				if next, _, err = key(i + 1); err != nil {
					return err
				}
			}
			if err := c.tree(native.Uint64(e[8:]), k, next); err != nil {
				return err
			}
			continue
		}
		size := uint64(native.Uint32(e[12:]))
		if size > uint64(len(rest)) || native.Uint32(e) > 1 {
			return fmt.Errorf("element %d: a value of %d bytes, flags %x", i, size, native.Uint32(e))
		}
		if native.Uint32(e) == 1 {
			if err := c.bucket(rest[:size]); err != nil {
				return fmt.Errorf("bucket %q: %w", k, err)
			}
		}
	}
	return nil
}

// bucket takes the value of a bucket's element: root page, sequence, and the page
// itself where it is so small that it has none.
func (c *checker) bucket(value []byte) error {
	if len(value) < 16 {
		return fmt.Errorf("%d bytes", len(value))
	}
	if root := native.Uint64(value); root != 0 {
		return c.tree(root, nil, nil)
	}
	return c.keys(value[16:], nil, nil)
}

// free goes through the list of free pages.
func (c *checker) free(id uint64) error {
	b, err := c.page(id)
	if err != nil {
		return fmt.Errorf("free list: %w", err)
	}
	flags, n := native.Uint16(b[8:]), uint64(native.Uint16(b[10:]))
	b = b[pageHeader:]
	if n == 0xFFFF {
		n, b = native.Uint64(b), b[8:]
	}
	if flags != freelistPage || n > uint64(len(b)/8) {
		return fmt.Errorf("free list: flags %x, %d pages", flags, n)
	}
	for i := range n {
		if err := c.own(native.Uint64(b[8*i:])); err != nil {
			return fmt.Errorf("free list: %w", err)
		}
	}
	return nil
}
