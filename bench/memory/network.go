package main

import (
	"fmt"
	"os"
	"os/exec"
)

// GenosSRV does not use the loopback address for links. Here is another one, on an
// interface that looks like a machine's uplink and leads nowhere.
const (
	address     = "10.9.9.1"
	isolatedEnv = "MEMORY_BENCH_ISOLATED"
)

const network = `
ip link set lo up
ip link add uplink type veth peer name nowhere
ip addr add ` + address + `/24 dev uplink
ip link set uplink up
ip link set nowhere up
ip route add default dev uplink
exec "$@"`

// isolated tells whether this program runs in a network of its own.
func isolated() bool { return os.Getenv(isolatedEnv) != "" }

// isolate runs this program again, with the same arguments, in a network
// namespace of its own.
func isolate() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	c := exec.Command("unshare", append([]string{"-rnm", "sh", "-euc", network, "sh", self}, os.Args[1:]...)...)
	c.Env = append(os.Environ(), isolatedEnv+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("running in a network of its own (it needs unshare and ip): %w", err)
	}
	return nil
}
