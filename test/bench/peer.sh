# shellcheck shell=bash disable=SC2016,SC2089,SC2090 # the bench expands what we quote
# Names smarthost to the comparison bench, which measures it like any other submission relay: source this file, then
# run the bench with `--peers custom,…`. Sets CUSTOM_PREPARE (once, before the start) and CUSTOM_CMD (the relay, in the
# foreground); both run as root inside the bench's namespaces, with the BENCH_* variables that it documents. Variants:
# custom-waiting begins with the recipients that wait in RELAY_WAITING, a data directory that fill.ts has made,
# custom-badqueue with 20,000 messages that are due for the bad destinations of W5 and W7, and custom-slowdisk takes 5 ms
# longer for each flush. custom-postgres has its data in PostgreSQL, a primary and a synchronous standby (cluster.ts) on the same disk, with
# the settings in RELAY_DATABASE_SETTINGS; their processor time does not count as that of the relay and lies in
# $PEERS_WORK/database-*.json, since the start. custom-postgres-waiting begins with RELAY_RECIPIENTS (500,000) that wait for 5,000 domains.
smarthost_checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# absolute: the bench lays other folders over /usr and /etc and calls us from its own; SMARTHOST_… would be read as settings
RELAY_NODE=$(readlink -f "$smarthost_checkout/node_modules/.bin/node")
RELAY_MAIN=$smarthost_checkout/src/smarthost.ts
RELAY_BENCH=$smarthost_checkout/test/bench
# as its service has it: limits for the memory of young and of old objects, and compiled code of an earlier start
RELAY_LIMITS=$(grep -o -- ' --[^ ]*=[0-9]*' "$smarthost_checkout/deploy/smarthost.service" | tr -d '\n')
NODE_COMPILE_CACHE=$smarthost_checkout/node_modules/.cache/bench
MALLOC_ARENA_MAX=$(sed -n "s/^Environment=MALLOC_ARENA_MAX=//p" "$smarthost_checkout/deploy/smarthost.service")
RELAY_DATABASE_SETTINGS=${RELAY_DATABASE_SETTINGS:-}
export RELAY_DATABASE_SETTINGS RELAY_NODE RELAY_MAIN RELAY_BENCH RELAY_LIMITS NODE_COMPILE_CACHE MALLOC_ARENA_MAX

# Limits are off, as they are in the other relays: a bench client is one user that sends everything. So is what sends little from an address
# that is new, as each data directory of a bench is.
CUSTOM_PREPARE=$(
  cat <<'PREPARE'
set -e
mkdir -p "$BENCH_DIR/data"
cat >"$BENCH_DIR/smarthost.yaml" <<YAML
hostname: $BENCH_HOSTNAME
dataDir: $BENCH_DIR/data
listen:
  submissions: ['127.0.0.1:$BENCH_TLS_PORT']
  submission: ['127.0.0.1:$BENCH_STARTTLS_PORT']
  http: []
  alpn: []
  admin: []
  console: []
tls:
  mode: files
  files: [{ certificate: $BENCH_CERT, key: $BENCH_KEY }]
limits: { messages: [], recipients: [], newRecipients: [] }
delivery: { allowPrivate: ['127.0.0.0/8'], warmUp: off }
queue: { minFree: 16MiB }
dns: { servers: ['$BENCH_DNS:53'] }
YAML
smarthost() { "$RELAY_NODE" $RELAY_LIMITS "$RELAY_MAIN" --config "$BENCH_DIR/smarthost.yaml" "$@"; }
case $BENCH_VARIANT in
  waiting) cp -r "$RELAY_WAITING/." "$BENCH_DIR/data" && chmod 700 "$BENCH_DIR/data" ;;
  badqueue) "$RELAY_NODE" "$RELAY_BENCH/fill.ts" "$BENCH_DIR/data" 20000 30 due ;;
  slowdisk) cc -shared -fPIC -O2 -o "$BENCH_DIR/slow-disk.so" "$RELAY_BENCH/slow-disk.c" -ldl ;;
  postgres*)
    mkdir -p "$BENCH_DIR/database"
    figures=$PEERS_WORK/database-${B_WL:-}-$BENCH_VARIANT-$(date +%s).json
    setsid "$RELAY_NODE" "$RELAY_BENCH/cluster.ts" "$BENCH_DIR/database" "$figures" $RELAY_DATABASE_SETTINGS >"$BENCH_DIR/database/cluster.out" 2>&1 &
    cluster=$!
    for _ in $(seq 600); do [ -e "$BENCH_DIR/database/server.json" ] && break; kill -0 $cluster || { cat "$BENCH_DIR/database/cluster.out"; exit 1; }; sleep 0.1; done
    port=$(grep -o '"port":[0-9]*' "$BENCH_DIR/database/server.json")
    echo "store: { postgres: ['127.0.0.1:${port#*:}'], passwordFile: $BENCH_DIR/database/password, tls: none }" >>"$BENCH_DIR/smarthost.yaml"
    ;;
esac
case $BENCH_VARIANT in
  postgres-waiting) "$RELAY_NODE" "$RELAY_BENCH/fill.ts" "$(cat "$BENCH_DIR/database/server.json")" "${RELAY_RECIPIENTS:-500000}" 5000 ;;
esac
smarthost domain add "$BENCH_DKIM_DOMAIN" --selector "$BENCH_DKIM_SELECTOR" --key "$BENCH_DKIM_KEY"
printf '%s\n' "$BENCH_PASS" | smarthost user add "$BENCH_USER" --password-stdin --sender '*'
[ -z "${cluster:-}" ] || kill -USR1 "$cluster"
PREPARE
)
CUSTOM_CMD='env LD_PRELOAD="$(ls "$BENCH_DIR/slow-disk.so" 2>/dev/null)" "$RELAY_NODE" $RELAY_LIMITS "$RELAY_MAIN" --config "$BENCH_DIR/smarthost.yaml" serve'
export CUSTOM_PREPARE CUSTOM_CMD
