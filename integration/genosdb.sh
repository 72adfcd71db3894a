#!/bin/sh
# Runs the scenarios with real GenosDB pages: GENOSDB_DIST=<dist folder> integration/genosdb.sh
#
# GENOSDB_DIST is the dist folder of a GenosDB checkout, unmodified. The server is built as users
# have it, without the race detector, so that the times mean something. See run.sh.
set -eu
cd "$(dirname "$0")"

: "${GENOSDB_DIST:?name the dist folder of GenosDB}"
GENOSDB_DIST=$(realpath "$GENOSDB_DIST")
[ -f "$GENOSDB_DIST/index.js" ] || { echo "$GENOSDB_DIST has no index.js" >&2; exit 2; }
export GENOSDB_DIST

(cd .. && go build -tags nobadger,nomysql,nopgx -o build/caddy ./cmd/caddy)
SERVER_CMD=$(realpath ../build/caddy) exec ./run.sh "$@"
