#!/usr/bin/env bash
# Installs the clients at their pinned versions, starts a development chain and runs every script against it.
#
#   KLAY_BIN    the binary (default: target/release/klay, else target/debug/klay, built if there is none)
#   KLAY_HTTP, KLAY_WS   a node that runs already; none is started then
#
# With arguments, runs only the scripts whose path contains one of them: run.sh caver py/tokens
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
work=$target/clients
mkdir -p "$work"

log() { printf '%s\n' "$*" >&2; }

# The JavaScript clients live beside their scripts, the Python ones in a virtual environment under target/.
if ! cmp -s "$here/js/package-lock.json" "$work/package-lock.json" || [ ! -d "$here/js/node_modules" ]; then
  log "installing the JavaScript clients"
  npm ci --prefix "$here/js" --no-audit --no-fund --loglevel=error >&2
  cp "$here/js/package-lock.json" "$work/package-lock.json"
fi
if ! cmp -s "$here/py/requirements.txt" "$work/requirements.txt"; then
  log "installing the Python clients"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/py/requirements.txt" >&2
  cp "$here/py/requirements.txt" "$work/requirements.txt"
fi

node_pid=
stop() {
  if [ -n "$node_pid" ]; then
    kill "$node_pid" 2>/dev/null || true
    wait "$node_pid" 2>/dev/null || true
  fi
}
trap stop EXIT

if [ -z "${KLAY_HTTP:-}" ]; then
  bin=${KLAY_BIN:-}
  if [ -z "$bin" ]; then
    bin=$target/release/klay
    [ -x "$bin" ] || bin=$target/debug/klay
  fi
  if [ ! -x "$bin" ]; then
    log "building klay"
    cargo build --manifest-path "$root/Cargo.toml" -p klay >&2
    bin=$target/debug/klay
  fi
  read -r http ws < <(python3 - <<'PORTS'
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in sockets])
PORTS
  )
  export KLAY_HTTP=http://127.0.0.1:$http KLAY_WS=ws://127.0.0.1:$ws
  log "starting $bin on $KLAY_HTTP and $KLAY_WS"
  "$bin" dev --ephemeral --http "127.0.0.1:$http" --ws "127.0.0.1:$ws" >"$work/node.log" 2>&1 &
  node_pid=$!
fi

for _ in $(seq 150); do
  curl -sf -o /dev/null -H 'content-type: application/json' \
    -d '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}' "$KLAY_HTTP" && answers=1 && break
  [ -z "$node_pid" ] || kill -0 "$node_pid" 2>/dev/null || break
  sleep 0.2
done
if [ -z "${answers:-}" ]; then
  log "no node answers at $KLAY_HTTP"
  [ ! -f "$work/node.log" ] || tail -20 "$work/node.log" >&2
  exit 1
fi

# Runs one script; its output goes to the file of its lane.
run() {
  local name=$1 wanted=1 pattern output status=0
  shift
  if [ ${#only[@]} -gt 0 ]; then
    wanted=
    for pattern in "${only[@]}"; do [[ $name == *"$pattern"* ]] && wanted=1; done
  fi
  [ -n "$wanted" ] || return 0
  printf '== %s\n' "$name"
  output=$(cd "$here" && timeout 600 "$@" 2>&1) || status=$?
  printf '%s\n' "$output"
  if [ "$status" -ne 0 ] && ! grep -q '^not ok - ' <<<"$output"; then
    printf 'not ok - %s ended with code %s\n' "$name" "$status"
  fi
}

# All scripts of one client, one after the other.
lane() {
  local client=$1 script
  for script in blocks transactions keys token tokens; do
    if [ -f "$here/js/$client/$script.mjs" ]; then
      run "js/$client/$script" node "js/$client/$script.mjs"
    elif [ -f "$here/$client/$script.py" ]; then
      run "$client/$script" "$work/venv/bin/python" "$client/$script.py"
    fi
  done
}

# Clients run side by side; each has accounts of its own.
only=("$@")
lanes=(caver ethers-ext ethers viem py)
pids=()
for client in "${lanes[@]}"; do
  lane "$client" >"$work/$client.log" &
  pids+=($!)
done
for index in "${!lanes[@]}"; do
  wait "${pids[$index]}" || true
  cat "$work/${lanes[$index]}.log"
done

count() { cat "${lanes[@]/%/.log}" | grep -c "^$1 - " || true; }
cd "$work"
passed=$(count ok) failed=$(count 'not ok')
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
