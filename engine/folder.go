package engine

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// folder is where a room keeps its files: in the node's folder, or else in one
// that is removed when the node is closed.
func (n *Node) folder(room string) (string, error) {
	n.folders.Lock()
	defer n.folders.Unlock()
	if n.dir == "" {
		dir, err := os.MkdirTemp("", "genosrtc-")
		if err != nil {
			return "", err
		}
		n.dir, n.temporary = dir, true
	}
	return filepath.Join(n.dir, "rooms", escapeRoom(room)), nil
}

// keptFolder is the folder of a room that an earlier process left; empty if there
// is none.
func (n *Node) keptFolder(room string) (string, error) {
	if n.store == nil {
		return "", nil
	}
	dir := filepath.Join(n.dir, "rooms", escapeRoom(room))
	_, err := os.Stat(filepath.Join(dir, "journal"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return dir, err
}

// GraphFile is where a node that keeps its files in a folder has the graph of a room.
func GraphFile(dir, room string) string {
	return filepath.Join(dir, "rooms", escapeRoom(room), graphFile)
}

// graphFile is the graph's name in the folder of a room.
const graphFile = "graph.db"

// Kept are the names of the rooms that earlier processes left something of.
func (n *Node) Kept() (names []string) {
	if n.store == nil {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(n.dir, "rooms"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		n.log.Warn("the rooms of before cannot be listed", "error", err)
	}
	for _, e := range entries {
		// What escapeRoom writes is also how URLs are escaped.
		if name, err := url.PathUnescape(e.Name()); err == nil && escapeRoom(name) == e.Name() {
			names = append(names, name)
		}
	}
	return names
}

// escapeRoom makes a file name of a room's, one for each, also where case does
// not matter. It may be long; what is too long for a file system fails there.
func escapeRoom(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
