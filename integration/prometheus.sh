#!/usr/bin/env bash
# Has a real Prometheus (Debian: prometheus, or PROMETHEUS=path) scrape two servers that
# are linked and have sessions, and asks it every query of docs/grafana.json: each must
# be understood and return data. Beside CI, as it needs that package. Takes a minute.
# The server is build/caddy, of ./xcaddy.sh, or SERVER_CMD.
set -euo pipefail
cd "$(dirname "$0")/.."
prometheus=${PROMETHEUS:-prometheus}
caddy=${SERVER_CMD:-$PWD/build/caddy}
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
export HOME=$dir

server() { # number, port of the site, of the admin endpoint, and of the other site
	cat >"$dir/Caddyfile$1" <<TEXT
{
	admin 127.0.0.1:$3
	persist_config off
	genosrtc {
		udp 127.0.0.1:0
		storage $dir/store$1
		relays ws://127.0.0.1:$4/genosrtc/relay
	}
}
http://127.0.0.1:$2 {
	bind 127.0.0.1
	genosrtc {
		room demo {
			memory
			anonymous write
			channel chat {
				max_size 100
			}
		}
	}
}
TEXT
	"$caddy" run --config "$dir/Caddyfile$1" 2>"$dir/log$1" &
	pids+=($!)
}
server 1 29381 29382 29391
server 2 29391 29392 29381
cat >"$dir/prometheus.yml" <<TEXT
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: caddy
    static_configs:
      - targets: ["127.0.0.1:29382", "127.0.0.1:29392"]
TEXT
"$prometheus" --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" \
	--web.listen-address=127.0.0.1:29399 2>"$dir/log3" &
pids+=($!)
sleep 2

# Traffic: a peer that is kicked, messages that pass and that break a rule, a room that is not there, a graph.
url=http://127.0.0.1:29381/genosrtc
for port in 29381 29391; do
	(for i in $(seq 1 50); do echo "line $i"; printf '%0200d\n' 0; sleep 1; done) |
		GENOSRTC_SERVER=http://127.0.0.1:$port/genosrtc XDG_CACHE_HOME=$dir/cache$port "$caddy" genosrtc join --room demo >"$dir/join$port" 2>&1 &
	pids+=($!)
done
for i in $(seq 1 40); do
	if [ "$i" = 25 ]; then
		peer=$(curl -s http://127.0.0.1:29382/genosrtc/rooms/demo | python3 -c 'import json, sys; print(json.load(sys.stdin)["peers"][0]["peer"])')
		"$caddy" genosrtc kick --address 127.0.0.1:29382 --room demo --for 1m "$peer"
	fi
	curl -s -o /dev/null "$url/rooms/nowhere/ws"
	curl -s -o /dev/null -X PUT -H 'Content-Type: application/json' -d "{\"i\":$i}" "$url/rooms/demo/graph/node-$i"
	printf '%0200d\n' 0 | curl -s -o /dev/null -X POST -H 'Content-Type: text/plain' --data-binary @- "$url/rooms/demo/channels/chat"
	curl -s -o /dev/null -H 'Content-Type: application/json' -d '"hello"' "$url/rooms/demo/channels/chat"
	sleep 1
done

python3 - <<'TEXT'
import json, sys, urllib.parse, urllib.request
bad = total = 0
for panel in json.load(open("docs/grafana.json"))["panels"]:
    for target in panel["targets"]:
        expr = target["expr"].replace("$__rate_interval", "20s").replace("$instance", ".*")
        url = "http://127.0.0.1:29399/api/v1/query?" + urllib.parse.urlencode({"query": expr})
        try:
            result = json.load(urllib.request.urlopen(url))["data"]["result"]
        except urllib.error.HTTPError as e:
            result = []
            print(e.read().decode())
        total += 1
        if result:
            print(f"{panel['title']}: " + ", ".join(" ".join(r["metric"].values()) + " " + r["value"][1] for r in result[:4]))
        else:
            bad += 1
            print(f"{panel['title']}: NO DATA for {expr}")
print(f"{total} queries, {bad} without data")
sys.exit(bad > 0)
TEXT
