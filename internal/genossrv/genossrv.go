// Package genossrv reads the data files of GenosDB's own fallback server, GenosSRV.
//
// What is in them was found out from files that it had written (GenosDB 1.x, run as a
// black box): an SQLite database with one table kv, and in it by database name
//
//	<name>:graph  zlib of MessagePack: a map id → node, as in the fullStateSync of docs/protocol.md
//	<name>:oplog  zlib of MessagePack: an array of the last operations, without values
package genossrv

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/genosrtc/caddy-genosrtc/engine/graph"
)

// maxGraph bounds the bytes of a graph that is unpacked. GenosSRV itself keeps all of
// it in memory.
const maxGraph = 1 << 30

// Read returns the graph of a database, and the removals that GenosSRV still knew of.
// Bad counts the nodes that are not what they should be, and are left out. Of the file
// a copy is read, with what its writer, which may have been killed, left
// beside it: the file itself stays as it is. The program sqlite3 must be there.
func Read(ctx context.Context, path, database string) (s graph.FullState, bad int, err error) {
	s, bad, err = read(ctx, path, database)
	if err != nil {
		return s, bad, fmt.Errorf("read %s: %w", path, err)
	}
	return s, bad, nil
}

func read(ctx context.Context, path, database string) (s graph.FullState, bad int, err error) {
	dir, err := os.MkdirTemp("", "genosrtc-")
	if err != nil {
		return s, 0, err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "data.sqlite")
	if err := clone(copied, path); err != nil {
		return s, 0, err
	}
	if err := clone(copied+"-wal", path+"-wal"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, 0, err
	}
	values, err := values(ctx, copied)
	if err != nil {
		return s, 0, err
	}
	packed, ok := values[database+":graph"]
	if !ok {
		return s, 0, fmt.Errorf("it has no database %q, but %s", database, names(values))
	}
	nodes, err := unpack(packed)
	if err != nil {
		return s, 0, fmt.Errorf("the graph of database %q: %w", database, err)
	}
	full, err := graph.Decode(slices.Concat([]byte(`{"type":"fullStateSync","graphData":`), nodes, []byte(`}`)))
	if err == nil && full.Full == nil {
		err = errors.New("it is no map of nodes")
	}
	if err != nil {
		return s, 0, fmt.Errorf("the graph of database %q: %w", database, err)
	}
	s = *full.Full
	if packed, ok = values[database+":oplog"]; !ok {
		return s, full.Bad, nil
	}
	oplog, err := unpack(packed)
	if err != nil {
		return s, 0, fmt.Errorf("the operations of database %q: %w", database, err)
	}
	operations, err := graph.Decode(oplog)
	if err != nil {
		return s, 0, fmt.Errorf("the operations of database %q: %w", database, err)
	}
	s.Removals = slices.DeleteFunc(operations.Ops, func(op graph.Op) bool { return op.Kind != graph.Remove })
	return s, full.Bad, nil
}

func clone(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// values reads the table with SQLite's own program: the library, in Go, would add 6 MB to
// every server and minutes to its build.
func values(ctx context.Context, path string) (map[string][]byte, error) {
	cmd := exec.CommandContext(ctx, "sqlite3", "-batch", "-list", "-noheader", "-init", os.DevNull,
		path, "SELECT hex(key) || ' ' || hex(value) FROM kv")
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("the program sqlite3 is needed for it: install that (apt install sqlite3) and try again: %w", err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("it is not a file of GenosSRV: sqlite3 says %q", bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return nil, err
	}
	m := map[string][]byte{}
	for line := range bytes.Lines(out) {
		key, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		k, err := hex.DecodeString(string(key))
		v, err2 := hex.DecodeString(string(value))
		if err := cmp.Or(err, err2); err != nil {
			return nil, fmt.Errorf("the output of sqlite3: %w", err)
		}
		m[string(k)] = v
	}
	return m, nil
}

// names are those of the databases in a file.
func names(values map[string][]byte) string {
	var names []string
	for key := range values {
		if name, ok := strings.CutSuffix(key, ":graph"); ok {
			names = append(names, fmt.Sprintf("%q", name))
		}
	}
	if len(names) == 0 {
		return "none at all"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// unpack makes JSON of a value.
func unpack(packed []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w; what a password encrypts cannot be read", err)
	}
	unpacked, err := io.ReadAll(io.LimitReader(z, maxGraph+1))
	if err != nil {
		return nil, err
	}
	if len(unpacked) > maxGraph {
		return nil, fmt.Errorf("it has more than %d bytes", maxGraph)
	}
	return appendJSON(nil, msgpack.NewDecoder(bytes.NewReader(unpacked)), 0)
}
