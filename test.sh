#!/usr/bin/env bash
# The one test command: it installs what the tests need, and runs all of them.
set -euo pipefail
cd "$(dirname "$0")"

cat <<'TEXT'
What is needed, and why:
  Go          1.26 or later; you install it
  a C compiler, git       for Go's race detector and version stamps    (apt)
  Chromium, iproute2      for the end-to-end tests                     (apt)
  Node 20.19 or later     for the tests in JavaScript                  (apt, or npm where apt's is older)
  Python 3.9 or later     for the client in integration/python         (apt)
  root        for apt, and for network namespaces: no test leaves the machine
  npm packages            test clients, in web/ and integration/       (npm ci)
TEXT

# The tags leave out the databases of Caddy's own certificate authority.
export GOFLAGS="${GOFLAGS:-} -tags=nobadger,nomysql,nopgx"
# A number of inputs: at the end of a time, Go's fuzzing may say "context deadline exceeded".
fuzztime=${FUZZTIME:-5000x}

step=start
trap 'status=$?; [ $status = 0 ] || echo "test.sh: FAILED at: $step" >&2' EXIT
run() {
	step=$1
	shift
	printf '\n== %s\n' "$step"
	local start=$SECONDS
	"$@"
	echo "== $step: $((SECONDS - start)) s"
}

fail() {
	echo "$*" >&2
	exit 1
}

packages() {
	command -v go >/dev/null || fail "Go is not installed: https://go.dev/doc/install"
	[ "$(id -u)" = 0 ] || fail "this needs root, for network namespaces and for apt: sudo ./test.sh"
	local missing=()
	need() { command -v "$1" >/dev/null || missing+=("${@:2}"); }
	need cc gcc libc6-dev
	need git git
	need ip iproute2
	need nft nftables
	need chromium chromium
	need npm nodejs npm
	need python3 python3
	need sqlite3 sqlite3
	if [ ${#missing[@]} -gt 0 ]; then
		command -v apt-get >/dev/null || fail "please install: ${missing[*]}"
		apt-get update -q
		DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
	fi
}

node_version() {
	recent() { node -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 20 || (+a === 20 && +b >= 19) ? 0 : 1)'; }
	if ! recent; then
		npm install --no-save --no-audit --no-fund --prefix build/node node@22
		export PATH="$PWD/build/node/node_modules/.bin:$PATH"
		recent || fail "Node $(node --version) is too old"
	fi
	(cd integration && npm ci --no-audit --no-fund)
	(cd web && npm ci --no-audit --no-fund)
}

formatted() {
	local files
	files=$(gofmt -l .)
	[ -z "$files" ] || fail "not formatted, run gofmt -w: $files"
}

fuzz() {
	local file name
	grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r name; do
			go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" "$(dirname "$file")" </dev/null
		done
	done
}

run "packages" packages
run "npm packages" node_version
run "gofmt" formatted
# With -race, so that it shares what the tests compile.
run "go vet" go vet -race ./...
run "go test" go test -race -shuffle=on ./...
run "a room of 1,000 peers" go test ./bench/mesh # with -race it has 100
run "fuzzing, $fuzztime each" fuzz
run "the JavaScript client" npm --prefix web test
run "end to end, in Chromium" integration/run.sh
printf '\ntest.sh: all passed in %d s\n' "$SECONDS"
