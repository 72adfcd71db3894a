// Command caddy is Caddy with its standard modules and this one: what xcaddy
// would build.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/genosrtc/caddy-genosrtc/caddymodule"
)

func main() {
	caddycmd.Main()
}
