package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/genosrtc/caddy-genosrtc/client"
)

// childArg makes this program a client process of bulk, which keeps all that it
// needs to go on in a folder:
//
//	child receive <url> <folder> <size>
//	child send <url> <folder> <size> <peer>
//
// It says "peer <id>" when it is connected, "at <bytes> <wire>" as the file goes
// on, and "done"; it cuts its connection at each line of its input.
const childArg = "child"

// fileID is the transfer's.
const fileID = 1

func child(args []string) error {
	if len(args) < 4 {
		return errors.New("child: arguments are missing")
	}
	url, folder := args[1], args[2]
	size, err := strconv.ParseInt(args[3], 10, 64)
	if err != nil {
		return err
	}
	c := &childProcess{folder: folder, size: size, done: make(chan error, 1), cutter: newCutter()}
	go c.obey()
	o := client.Options{HTTPClient: c.cutter.client, Accept: c.accept, Notify: func(e client.Event) {
		switch e := e.(type) {
		case client.Lost:
			c.end(fmt.Errorf("the session was lost: %s", e.Reason))
		case client.Refused:
			c.end(fmt.Errorf("refused: %+v", e))
		}
	}}
	if raw, err := os.ReadFile(c.file("state")); err == nil {
		o.State = new(client.State)
		if err := json.Unmarshal(raw, o.State); err != nil {
			return err
		}
	}
	r, err := client.Dial(context.Background(), url, "demo", o)
	if err != nil {
		return err
	}
	defer r.Close()
	state, err := r.State()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := c.save("state", raw); err != nil {
		return err
	}
	fmt.Println("peer", r.Peer())
	if args[0] == "send" {
		if err := c.send(r, args[4]); err != nil {
			return err
		}
	} else if err := <-c.done; err != nil {
		return err
	}
	fmt.Println("done", c.cutter.bytes.Load())
	if args[0] == "receive" {
		select {} // the answer to the sender is under way; the parent ends us
	}
	return nil
}

type childProcess struct {
	folder string
	size   int64
	done   chan error
	cutter *cutter
	told   atomic.Int64
	once   sync.Once
}

func (c *childProcess) file(name string) string { return filepath.Join(c.folder, name) }

// save replaces a file as a whole.
func (c *childProcess) save(name string, b []byte) error {
	if err := os.WriteFile(c.file(name+".new"), b, 0o600); err != nil {
		return err
	}
	return os.Rename(c.file(name+".new"), c.file(name))
}

func (c *childProcess) end(err error) { c.once.Do(func() { c.done <- err }) }

func (c *childProcess) obey() {
	rng := rand.New(rand.NewPCG(1, 1)) // there is one connection
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		c.cutter.cut(rng)
	}
}

// tell says how far the file is, each MiB.
func (c *childProcess) tell(at int64) {
	if at-c.told.Load() >= 1<<20 || at == c.size {
		c.told.Store(at)
		fmt.Println("at", at, c.cutter.bytes.Load())
	}
}

func (c *childProcess) send(r *client.Room, to string) error {
	var from int64
	if raw, err := os.ReadFile(c.file("acked")); err == nil {
		if from, err = strconv.ParseInt(string(raw), 10, 64); err != nil {
			return err
		}
	}
	u, err := r.SendReader("file", newPattern(0, c.size), c.size, client.Outgoing{ID: fileID, Offset: from, Options: []client.SendOption{client.To(to)}, Progress: func(acked int64) {
		if acked-c.told.Load() >= 1<<20 {
			if err := c.save("acked", []byte(strconv.FormatInt(acked, 10))); err != nil {
				c.end(err)
			}
		}
		c.tell(acked)
	}})
	if err != nil {
		return err
	}
	results, err := u.Wait(context.Background())
	if err != nil || len(results) > 0 {
		return fmt.Errorf("at %d of %d: %v, %w", u.Acked(), c.size, results, err)
	}
	return nil
}

func (c *childProcess) accept(client.Incoming) (client.Sink, error) {
	f, err := os.OpenFile(c.file("received"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return client.Sink{}, err
	}
	have, err := f.Stat()
	if err != nil {
		return client.Sink{}, err
	}
	return client.Sink{Store: f, Offset: have.Size(), Progress: c.tell, Done: func(err error) {
		c.end(errors.Join(err, f.Close()))
	}}, nil
}
