package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// patience is how long anything may take that takes no time.
const patience = 10 * time.Second

// kind is a bridge as it is started.
type kind struct {
	name        string
	bare, tuned bool
}

// bridge is a bridge in its process, with the driver's two ends.
type bridge struct {
	kind    kind
	address string // of the process's HTTP server
	profile string // file for the next load's CPU profile, or ""
	session *ear
	link    *ear
	undo    []func() // what close has to do, last first
}

// end is the driver's end on one side of a bridge.
type end interface {
	// prepare makes a message with so many bytes of data, of which the first
	// eight are a stamp, and returns what sends it.
	prepare(size int) (send func(stamp uint64) error)
	// receive calls heard with the stamp of every message, until an error.
	receive(heard func(stamp uint64)) error
}

// start starts a bridge and connects both ends.
func start(k kind) (*bridge, error) {
	b := &bridge{kind: k}
	err := b.run()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if k.bare {
			err = b.connectBare(ctx)
		} else {
			err = b.connectOurs(ctx)
		}
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// run starts the process and reads its address.
func (b *bridge) run() error {
	role, gogc := "ours", "GOGC=100"
	if b.kind.bare {
		role = "bare"
	}
	if b.kind.tuned {
		gogc = "GOGC=400"
	}
	if b.kind.bare && b.kind.tuned {
		role = "bare tuned"
	}
	process := exec.Command(os.Args[0], "-role", role)
	process.Env = append(os.Environ(), gogc)
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		return err
	}
	output, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	if err := process.Start(); err != nil {
		return err
	}
	b.undo = append(b.undo, func() {
		_ = input.Close() // ends the process
		_ = process.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	b.address = strings.TrimSpace(line)
	return err
}

func (b *bridge) close() {
	for _, f := range slices.Backward(b.undo) {
		f()
	}
}

// usage asks the process what it has used.
func (b *bridge) usage() (u usage, err error) {
	response, err := http.Get("http://" + b.address + "/usage")
	if err != nil {
		return u, err
	}
	defer response.Body.Close()
	return u, json.NewDecoder(response.Body).Decode(&u)
}

// profiled takes a CPU profile of the process for as long as a load takes.
func (b *bridge) profiled() (wait func() error) {
	if b.profile == "" {
		return func() error { return nil }
	}
	path := b.profile
	b.profile = ""
	done := make(chan error, 1)
	go func() {
		seconds := max(1, int(duration.Seconds()))
		response, err := http.Get("http://" + b.address + "/debug/pprof/profile?seconds=" + strconv.Itoa(seconds))
		if err != nil {
			done <- err
			return
		}
		defer response.Body.Close()
		f, err := os.Create(path)
		if err == nil {
			_, err = io.Copy(f, response.Body)
			err = errors.Join(err, f.Close())
		}
		done <- err
	}()
	return func() error { return <-done }
}
