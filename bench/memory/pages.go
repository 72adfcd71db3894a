package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// pages are real GenosDB pages in Chromium, which pages.mjs opens one by one.
type pages struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// openPages starts Chromium. It needs the packages of the integration tests.
func openPages(ctx context.Context) (*pages, error) {
	const modules = "integration/node_modules"
	if _, err := os.Stat(modules); err != nil {
		return nil, fmt.Errorf("pages need %s (npm ci in integration, and start from the project's folder): %w", modules, err)
	}
	p := &pages{command: exec.CommandContext(ctx, "node", filepath.Join("bench", "memory", "pages.mjs"))}
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting node: %w", err)
	}
	return p, nil
}

// close ends Chromium.
func (p *pages) close() {
	_ = p.in.Close()
	_ = p.command.Wait()
}

// catchUp opens a page in the room, and waits until it has so many nodes. It
// returns how long that took from the opening of its link, and the bytes of all
// frames; if that did not happen within patience, context.DeadlineExceeded.
func (p *pages) catchUp(relay string, want int, patience time.Duration) (took time.Duration, bytes int, err error) {
	question, err := json.Marshal(map[string]any{
		"relay": relay, "database": database, "nodes": want, "last": nodeID(want - 1), "patience": patience.Milliseconds(),
	})
	if err != nil {
		return 0, 0, err
	}
	if _, err := p.in.Write(append(question, '\n')); err != nil {
		return 0, 0, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return 0, 0, err
	}
	var answer struct {
		MS    float64
		Bytes int
		Have  int
		Error string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return 0, 0, err
	}
	switch {
	case answer.Error != "":
		return 0, 0, errors.New(answer.Error)
	case answer.MS == 0:
		return 0, 0, fmt.Errorf("%d of %d nodes: %w", answer.Have, want, context.DeadlineExceeded)
	}
	return time.Duration(answer.MS * float64(time.Millisecond)), answer.Bytes, nil
}
