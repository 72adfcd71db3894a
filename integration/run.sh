#!/bin/sh
# Runs the end-to-end scenarios, or those that are named: integration/run.sh scenarios/matrix.test.js
#
# The pages are our own independent peer; with GENOSDB_DIST=<dist folder> they are GenosDB.
# SERVER_CMD=<binary> tests another server than our own, built with the race detector.
#
# Everything runs in network and process namespaces of its own, so it needs root, and leaves
# nothing behind. Besides the loopback interface there is one that looks like a machine's uplink
# and leads nowhere: without one, Chromium offers no address to its peers.
set -eu
cd "$(dirname "$0")"

[ -d node_modules ] || npm ci
[ -n "${SERVER_CMD:-}" ] || (cd .. && go build -race -tags nobadger,nomysql,nopgx -o build/caddy-race ./cmd/caddy)
(cd .. && go build -o build/chaos ./bench/chaos)
[ $# -gt 0 ] || set -- scenarios/*.test.js

exec unshare --net --pid --fork --kill-child --mount-proc sh -eu -c '
	ip link set lo up
	ip link add uplink type veth peer name nowhere
	ip addr add 10.9.9.1/24 dev uplink
	ip link set uplink up
	ip link set nowhere up
	ip route add default dev uplink
	node --test --test-concurrency=1 --test-timeout=${TEST_TIMEOUT:-600000} --test-reporter=spec "$@"' sh "$@"
