package caddymodule

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"go.uber.org/goleak"

	"github.com/genosrtc/caddy-genosrtc/internal/testclient"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Caddy's certificate storage keeps a lock file fresh for some seconds
		// after it was unlocked.
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
	)
}

// caddyServer is a real Caddy in this process, of which there can be only one.
type caddyServer struct {
	t       *testing.T
	port    string
	storage string
	url     string // of GenosRTC's path
	admin   string // address of Caddy's admin endpoint, or off
}

// newCaddy prepares Caddy, which the first load starts and the end of the test
// stops.
func newCaddy(t *testing.T) *caddyServer {
	t.Helper()
	port := freePort(t)
	c := &caddyServer{t, port, t.TempDir(), "http://127.0.0.1:" + port + "/genosrtc", "off"}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop Caddy: %v", err)
		}
		if n, ok := nodes.References(c.storage); ok {
			t.Errorf("%d references to the node are left", n)
		}
	})
	return c
}

// newAdmin is newCaddy with an admin endpoint, which Caddy leaves open when it stops.
func newAdmin(t *testing.T) *caddyServer {
	t.Helper()
	c := newCaddy(t)
	c.admin = "127.0.0.1:" + freePort(t)
	t.Cleanup(func() {
		address := c.admin
		c.admin = "off"
		c.load("")
		testclient.Eventually(t, "the admin endpoint is closed", func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
		testclient.HTTP.CloseIdleConnections()
	})
	return c
}

// config is a Caddyfile whose one site has these directives, and whose global
// options and app these lines.
func (c *caddyServer) config(site, app, global string) []byte {
	caddyfile := fmt.Sprintf(`{
	admin %[6]s
	persist_config off
	auto_https off
	storage file_system %[1]s
	log {
		output discard
	}
	%[2]s
	genosrtc {
		udp 127.0.0.1:0
		storage %[1]s
		%[3]s
	}
}
http://127.0.0.1:%[4]s {
	bind 127.0.0.1
	%[5]s
}
`, c.storage, global, app, c.port, site, c.admin)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		c.t.Fatalf("%v, in\n%s", err, caddyfile)
	}
	return config
}

// load puts a configuration with these directives into effect.
func (c *caddyServer) load(site string) {
	c.t.Helper()
	if err := caddy.Load(c.config(site, "", ""), true); err != nil {
		c.t.Fatal(err)
	}
}

// freePort finds a port for Caddy, which must know it beforehand: one that the
// system does not give to connections by itself.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

func writeFile(t *testing.T, content string) (name string) {
	t.Helper()
	name = t.TempDir() + "/file"
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
