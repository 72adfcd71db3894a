package command

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// fileMeta is what a sender says of a file: send, the demo page and others.
type fileMeta struct {
	Name     string
	Modified int64 // Unix ms; 0: it does not say
}

func metaOf(meta any) fileMeta {
	m, _ := meta.(map[string]any)
	name, _ := m["name"].(string)
	modified, _ := m["modified"].(int64)
	return fileMeta{fileName(name), modified}
}

// fileName makes of what a stranger calls a file a name that can be created in
// any folder and stays in it, or "".
func fileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, printable(name))
	name = strings.Trim(name, ". ") // neither hidden nor a folder
	for len(name) > 200 {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:] // the end has the extension
	}
	return strings.TrimLeft(name, ". ")
}

// part is a file that is arriving. Its name says of which transfer it is a part,
// so that another process finds it again: also a later transfer of the same file
// goes on with it, where the sender says when the file was modified.
type part struct {
	*os.File
	name  string // of the file
	again bool   // a later transfer can go on with it
}

// openPart opens the part of a transfer, and tells how much of it is there.
func openPart(folder string, in client.Incoming) (*part, int64, error) {
	meta := metaOf(in.Meta)
	p := &part{name: cmp.Or(meta.Name, "file"), again: meta.Modified != 0}
	what := fmt.Sprintf("%q %d %d", p.name, in.Size, meta.Modified)
	if !p.again {
		what += fmt.Sprintf(" %q %d", in.From, in.ID)
	}
	hash := sha256.Sum256([]byte(what))
	path := filepath.Join(folder, fmt.Sprintf("%s.%x.part", p.name, hash[:4]))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > in.Size) {
		err = fmt.Errorf("%s is in the way", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	p.File = f
	return p, info.Size(), nil
}

// end gives the file its name if it is whole, and returns its path. A part with
// which nobody can go on is removed.
func (p *part) end(err error) (string, error) {
	err = errors.Join(err, p.File.Close())
	cancelled, _ := errors.AsType[*client.CancelledError](err)
	switch {
	case err == nil:
		return rename(p.File.Name(), p.name)
	case errors.Is(err, client.ErrCorrupt), cancelled != nil && !p.again:
		p.again = false
		err = errors.Join(err, os.Remove(p.File.Name()))
	case cancelled != nil && cancelled.Reason == "gone":
		err = errors.New("the sender has left")
	}
	return "", err
}

// kept says what became of a part that did not become whole.
func (p *part) kept() string {
	if !p.again {
		return ""
	}
	return fmt.Sprintf("; %s is kept, for when it is sent again", filepath.Base(p.File.Name()))
}

// storeWhole stores a file that came at once.
func storeWhole(folder, name string, content []byte) (string, error) {
	f, err := os.CreateTemp(folder, "*.part")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		return rename(f.Name(), cmp.Or(name, "file"))
	}
	return "", errors.Join(err, os.Remove(f.Name()))
}

// rename gives a file in its folder a name, with a number if there is one of that
// name already.
func rename(from, name string) (string, error) {
	extension := filepath.Ext(name)
	base := strings.TrimSuffix(name, extension)
	for n := 1; ; n++ {
		path := filepath.Join(filepath.Dir(from), name)
		// The name is taken first, since a rename would write over a file.
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			name = fmt.Sprintf("%s (%d)%s", base, n+1, extension)
			continue
		}
		if err != nil {
			return "", err
		}
		if err := errors.Join(f.Close(), os.Rename(from, path)); err != nil {
			return "", errors.Join(err, os.Remove(path))
		}
		return path, nil
	}
}
