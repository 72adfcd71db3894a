#!/usr/bin/env bash
# Builds dist/client.js and dist/client.d.ts from src/. They are committed, so that the server
# builds without Node. `build.sh --check` builds nothing, and fails if they are stale.
set -euo pipefail
cd "$(dirname "$0")"
[ -d node_modules ] || npm ci --no-audit --no-fund

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# What is bundled keeps its licence.
banner="/*!
GenosRTC client. Copyright the caddy-genosrtc authors, Apache License 2.0.
Contains @msgpack/msgpack, ISC License:

$(cat node_modules/@msgpack/msgpack/LICENSE)
*/"

# Names that are internal to @msgpack/msgpack, shortened. The tests run what comes out.
internal='^(appendB|builtIn|byteS|create|decode|do[A-Z]|encode|ensure|extension|force|getUninit|hasRem|head[A-Z]|ignoreU|initial'
internal+='|key[A-Z]|lookU|map[A-Z]|max[A-Z]|rawS|countW|resizeB|canBe|entere|push[A-Z]|read[A-Z]|reinit|sort[A-Z]|stack[A-Z]|setBuf|stateIs|totalP|tryTo|use[A-Z]|write)[A-Za-z0-9]+$'

node_modules/.bin/esbuild src/client.ts --bundle --minify --format=esm --target=es2022 --charset=utf8 \
	--mangle-props="$internal" --reserve-props='^encodeInto$' --log-level=warning --banner:js="$banner" --outfile="$out/client.js"
size=$(gzip -9c "$out/client.js" | wc -c)
[ "$size" -lt 15000 ] || { echo "client.js has $size bytes compressed; it is to stay below 15 kB" >&2; exit 1; }
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
