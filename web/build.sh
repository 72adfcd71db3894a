#!/usr/bin/env bash
# Builds dist/client.js and dist/client.d.ts from src/. They are committed, so that the server
# builds without Node. `build.sh --check` builds nothing, and fails if they are stale.
set -euo pipefail
cd "$(dirname "$0")"
[ -d node_modules ] || npm ci --no-audit --no-fund

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

banner='/*! GenosRTC client. Copyright the caddy-genosrtc authors, Apache License 2.0. */'
node_modules/.bin/esbuild src/client.ts --bundle --minify --format=esm --target=es2022 --charset=utf8 \
	--log-level=warning --banner:js="$banner" --outfile="$out/client.js"
size=$(gzip -9c "$out/client.js" | wc -c)
[ "$size" -lt 17500 ] || { echo "client.js has $size bytes compressed; it is to stay below 17.5 kB" >&2; exit 1; }
node_modules/.bin/tsc -p . --outDir "$out/types"
cp "$out/types/client.d.ts" "$out/"

if [ "${1:-}" = --check ]; then
	for file in client.js client.d.ts; do
		cmp "$out/$file" "dist/$file" || { echo "web/dist/$file is stale: run web/build.sh" >&2; exit 1; }
	done
else
	mkdir -p dist
	cp "$out/client.js" "$out/client.d.ts" dist/
fi
