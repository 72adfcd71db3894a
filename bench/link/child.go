package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"time"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/process"
	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

// patience is how long one measurement may take.
const patience = 2 * time.Minute

// report is what a process says at its end, on file descriptor 3.
type report struct {
	Seconds float64 // of the sender
	CPU     float64 // seconds, from its start
}

// child is the life of one process of a link: its role is "ours send", "ours
// receive", "raw send" or "raw receive". The other process is at its standard
// input and output.
func child(role string, bytes int) error {
	var (
		l    = newLine(os.Stdin, os.Stdout)
		took time.Duration
		err  error
	)
	switch role {
	case "ours send", "ours receive":
		o, failed := newOurs(l)
		if failed != nil {
			return failed
		}
		defer o.close()
		if role == "ours send" {
			took, err = o.send(bytes)
		} else if err = o.receive(bytes); err == nil {
			err = l.tell(note{Done: true})
		}
	case "raw send", "raw receive":
		r, failed := newRaw()
		if failed != nil {
			return failed
		}
		if role == "raw send" {
			took, err = r.send(l, bytes)
		} else if err = r.receive(l, bytes); err == nil {
			err = l.tell(note{Done: true})
		}
	default:
		return fmt.Errorf("no role %q", role)
	}
	if err != nil {
		return err
	}
	out := os.NewFile(3, "report")
	defer out.Close()
	if err := json.NewEncoder(out).Encode(report{took.Seconds(), process.CPU(os.Getpid())}); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if role == "raw receive" || role == "ours receive" {
		// The last acknowledgements are still to leave.
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

// pair runs a sender and a receiver, each at the other's standard input and
// output.
func pair(sender, receiver *exec.Cmd, bytes int) (rounds.Values, error) {
	toReceiver, fromSender, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	toSender, fromReceiver, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	sender.Stdin, sender.Stdout = toSender, fromSender
	receiver.Stdin, receiver.Stdout = toReceiver, fromReceiver
	reports := make(chan error, 2)
	var said [2]report
	for i, c := range []*exec.Cmd{sender, receiver} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		c.Stderr, c.ExtraFiles = os.Stderr, []*os.File{w}
		if err := c.Start(); err != nil {
			return nil, fmt.Errorf("start %v: %w", c.Args, err)
		}
		defer func() {
			_ = c.Process.Kill() // an error is its having ended
			_ = c.Wait()
		}()
		w.Close()
		go func() {
			defer r.Close()
			err := json.NewDecoder(r).Decode(&said[i])
			if err == io.EOF {
				err = fmt.Errorf("%v ended without a word", c.Args)
			}
			reports <- err
		}()
	}
	for _, f := range []*os.File{toReceiver, fromSender, toSender, fromReceiver} {
		f.Close()
	}
	for range 2 {
		select {
		case err := <-reports:
			if err != nil {
				return nil, err
			}
		case <-time.After(patience):
			return nil, fmt.Errorf("not done in %s", patience)
		}
	}
	if said[0].Seconds == 0 {
		return nil, fmt.Errorf("%v reported no time", sender.Args)
	}
	cpu := said[0].CPU + said[1].CPU
	if cpu == 0 {
		cpu = math.NaN()
	}
	return rounds.Values{
		speed: float64(bytes) / 1e6 / said[0].Seconds,
		cost:  cpu / float64(bytes) * 1e9,
	}, nil
}
