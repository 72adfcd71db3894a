#!/bin/sh
# Builds Caddy with this module, from this working tree, as build/caddy: with
# xcaddy where it is installed, else from cmd/caddy, which is the same program.
# Then shows that the module is in it.
set -eu
cd "$(dirname "$0")"
module=github.com/genosrtc/caddy-genosrtc
mkdir -p build

if command -v xcaddy >/dev/null; then
	# The version that the tests run with.
	version=$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
	xcaddy build "$version" --output build/caddy \
		--with "$module/caddymodule" --replace "$module=$PWD"
else
	# The tags leave out the databases of Caddy's own certificate authority,
	# as xcaddy does.
	go build -trimpath -tags nobadger,nomysql,nopgx -o build/caddy ./cmd/caddy
fi

build/caddy list-modules | grep genosrtc
echo "built: $PWD/build/caddy"
