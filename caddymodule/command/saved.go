package command

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// saved is what a command leaves behind when it is interrupted, so that the same
// command goes on: a small file in the user's cache folder. It is a secret, for
// the session's token is one.
type saved struct {
	Session client.State `json:"session"`
	// Of send: the transfer, and the file as it was when that began.
	Transfer uint64    `json:"transfer,omitzero"`
	Acked    int64     `json:"acked,omitzero"`
	Size     int64     `json:"size,omitzero"`
	Modified time.Time `json:"modified,omitzero"`
}

// slot is where the state of one command line is kept. The empty slot keeps
// nothing.
type slot string

// newSlot is the slot of a command that is named by what makes it the same when
// it is given again.
func newSlot(command string, at *place, what ...string) (slot, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place to remember this %s: %w", command, err)
	}
	dir := filepath.Join(cache, "caddy-genosrtc")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("no place to remember this %s: %w", command, err)
	}
	name := strings.Join(append([]string{at.server, at.room}, what...), "\x00")
	return slot(filepath.Join(dir, fmt.Sprintf("%s-%x.json", command, sha256.Sum256([]byte(name))))), nil
}

// load returns what was saved. What is not there, or cannot be read as such, is
// nil: the command then begins anew.
func (s slot) load() *saved {
	if s == "" {
		return nil
	}
	text, err := os.ReadFile(string(s))
	if err != nil {
		return nil
	}
	v := new(saved)
	if json.Unmarshal(text, v) != nil || v.Session.Resume == "" {
		return nil
	}
	return v
}

// save keeps v in place of what was there, and never half of it.
func (s slot) save(v saved) error {
	if s == "" {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("remember the session: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(string(s)), "*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("remember the session: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), string(s))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("remember the session: %w", err)
	}
	return nil
}

// clear forgets it.
func (s slot) clear() error {
	if s == "" {
		return nil
	}
	if err := os.Remove(string(s)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the session: %w", err)
	}
	return nil
}
