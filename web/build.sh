#!/usr/bin/env bash
# Builds the client, dist/client.js and dist/client.d.ts, and the monitor page, dist/monitor.*, from
# src/. They are committed, so that the server builds without Node. `build.sh --check` builds nothing, and fails if they are stale.
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

# The licences of what is in the page come with it.
{
	echo '/*! GenosRTC monitor. Copyright the caddy-genosrtc authors, Apache License 2.0. It contains:'
	for package in d3-force d3-quadtree d3-dispatch d3-timer uplot; do
		printf '\n%s\n' "$package"
		cat "node_modules/$package/LICENSE"
	done
	echo '*/'
} >"$out/licences"
node_modules/.bin/esbuild src/monitor/main.ts --bundle --minify --format=esm --target=es2022 --charset=utf8 \
	--legal-comments=none --log-level=warning --outfile="$out/page.js"
cat "$out/licences" "$out/page.js" >"$out/monitor.js"
node_modules/.bin/esbuild src/monitor/monitor.css --bundle --minify --charset=utf8 --log-level=warning --outfile="$out/monitor.css"

files=(client.js client.d.ts monitor.js monitor.css)

if [ "${1:-}" = --check ]; then
	for file in "${files[@]}"; do
		cmp "$out/$file" "dist/$file" || { echo "web/dist/$file is stale: run web/build.sh" >&2; exit 1; }
	done
else
	mkdir -p dist
	(cd "$out" && cp "${files[@]}" "$OLDPWD/dist/")
fi
