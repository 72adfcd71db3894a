// Command link compares bulk over one link: from seat to seat of two of our
// engines (messages, frames, outbox, window, pion), over a bare data channel of
// pion with the same settings, and, where its packages are installed, from peer
// to peer of Trystero with node-datachannel:
//
//	npm install trystero node-datachannel ws    # in some folder
//	go run ./bench/link -trystero <that folder>
//
// Each contestant is two processes on the loopback address. They are measured
// in turn; it is the ratios of one round that count.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strconv"

	"github.com/genosrtc/caddy-genosrtc/bench/internal/rounds"
)

var (
	runs   = flag.Int("rounds", 5, "number of rounds")
	size   = flag.Int("size", 128, "MiB in one direction")
	gogc   = flag.Int("gogc", 400, "GOGC of our processes and of bare pion's")
	folder = flag.String("trystero", "", "folder with trystero, node-datachannel and ws in its node_modules")
	role   = flag.String("role", "", "what the driver starts its child processes with")
)

const (
	speed = "MB/s"
	cost  = "CPU s/GB, both ends"
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	bytes := *size << 20
	if *role != "" {
		if err := child(*role, bytes); err != nil {
			log.Fatalf("%s: %v", *role, err)
		}
		return
	}
	names := []string{"ours", "raw"}
	if *folder != "" {
		names = append(names, "trystero")
	}
	results, err := rounds.Run(*runs, names, os.Stderr, func(_ int, name string) (rounds.Values, error) {
		if name == "trystero" {
			return trystero(*folder, bytes)
		}
		return pair(self(name+" send"), self(name+" receive"), bytes)
	})
	if err == nil {
		fmt.Printf("%d MiB over one link, GOGC=%d\n", *size, *gogc)
		err = results.Print(os.Stdout, []rounds.Metric{{Name: speed, Decimals: 1}, {Name: cost, Decimals: 1}})
	}
	if err != nil {
		log.Fatal(err)
	}
}

// self is this program as a child process.
func self(role string) *exec.Cmd {
	c := exec.Command(os.Args[0], "-role", role, "-size", strconv.Itoa(*size))
	c.Env = append(os.Environ(), fmt.Sprintf("GOGC=%d", *gogc))
	return c
}
