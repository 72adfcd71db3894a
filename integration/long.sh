#!/bin/sh
# Runs what takes minutes and is not part of test.sh: integration/long.sh reload, soak, cells or chaos
#
#   CHAOS="-seed 7"  flags of bench/chaos
#   RELOADS=100   how many reloads
#   MINUTES=10    how long the soak, or the churn of cells, takes
#
# The server is built as users have it, without the race detector. With GENOSDB_DIST=<dist folder>
# the pages are GenosDB. Figures are printed. See run.sh.
set -eu
cd "$(dirname "$0")"

[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
for name; do
	[ -f "long/$name.test.js" ] || { echo "there is no long/$name.test.js" >&2; exit 2; }
	set -- "$@" "long/$name.test.js"
	shift
done

(cd .. && go build -tags nobadger,nomysql,nopgx -o build/caddy-long ./cmd/caddy)
TEST_TIMEOUT=7200000 SERVER_CMD=$(realpath ../build/caddy-long) exec ./run.sh "$@"
