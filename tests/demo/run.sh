#!/usr/bin/env bash
# What `make run` runs: a daemon and a gateway with folders, a socket and a port of their own, a demo
# project, one recorded agent run replayed at its true pace through a real process, and one plain
# command; both followed on this terminal, and in a browser at the URL it prints. Ends with Ctrl-C
# and leaves no process behind.
#
# RUN_ONCE=1, or output that is no terminal: ends when both runs have ended.
set -euo pipefail
umask 022

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
demo=$target/demo
bin=$target/debug
run=$demo/run
daemon=
gateway=
stream=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

fail() {
  printf 'demo: %s\n' "$*" >&2
  for log in "$demo/daemon.log" "$demo/gateway.log"; do
    if [ -s "$log" ]; then
      printf 'The end of %s:\n' "$log" >&2
      tail -n 20 "$log" >&2
    fi
  done
  exit 1
}

# Started in a process group of its own: Ctrl-C at the terminal then reaches this script alone,
# which ends everything in order.
in_background() {
  set -m
  "$@" &
  set +m
}

# shellcheck disable=SC2329,SC2317  # called by the trap
clean_up() {
  local status=$?
  trap - EXIT INT TERM
  set +e
  if [ -n "$gateway" ]; then
    kill -TERM "$gateway" 2>/dev/null
    wait "$gateway" 2>/dev/null
  fi
  if [ -n "$daemon" ]; then
    say "Stopping."
    for id in $("$bin/steroidsctl" list --running --json 2>/dev/null |
      grep -o '"id":[0-9]*' | cut -d: -f2); do
      "$bin/steroidsctl" stop "$id" --grace 2s >/dev/null 2>&1
    done
    if [ -n "$stream" ]; then
      kill -TERM "$stream" 2>/dev/null
      wait "$stream" 2>/dev/null
    fi
    kill -TERM "$daemon" 2>/dev/null
    wait "$daemon" 2>/dev/null
    echo "Daemon and gateway are stopped and nothing is left running. The logs of both runs: $demo/project/.steroids/invocations/"
  fi
  if [ "$run" != "$demo/run" ]; then
    rm -rf "$run"
  fi
  exit "$status"
}

echo "Building …"
"${CARGO:-cargo}" build --workspace --bins

# A socket's path may have 107 bytes, and a shim's is longer than the daemon's.
if [ "${#run}" -gt 70 ]; then
  run=$(mktemp -d "${TMPDIR:-/tmp}/steroids-demo.XXXXXX")
fi
export XDG_RUNTIME_DIR=$run
export STEROIDS_SOCKET=$run/steroids/steroidsd.sock
export STEROIDS_STATE_DIR=$demo/state
export STEROIDS_CONFIG=$demo/config.toml
if [ "$(id -u)" = 0 ]; then
  echo "You are root, and so is everything that this demo runs (STEROIDS_ALLOW_ROOT=1)."
  export STEROIDS_ALLOW_ROOT=1
fi

if "$bin/steroidsctl" status >/dev/null 2>&1; then
  fail "another demo is running; end that one first (Ctrl-C there)"
fi
rm -rf "$demo"
mkdir -p "$demo/project" "$run"
mkdir -p "$run/steroids"
chmod 700 "$run" "$run/steroids"

cat >"$demo/config.toml" <<TOML
# Written by tests/demo/run.sh. A replay of a recorded run: real output of a real CLI, but nothing
# is asked of any model.
[providers.claude-replay]
kind = "claude"
command = "$bin/fake-provider"
args = ["replay", "$root/tests/recordings/claude/tools", "--output-format", "stream-json"]
TOML

trap clean_up EXIT
trap 'exit 0' INT TERM

in_background "$bin/steroidsd" >"$demo/daemon.log" 2>&1
daemon=$!
for _ in $(seq 100); do
  if "$bin/steroidsctl" status >/dev/null 2>&1; then
    break
  fi
  kill -0 "$daemon" 2>/dev/null || fail "the daemon did not start"
  sleep 0.1
done
"$bin/steroidsctl" status >/dev/null || fail "the daemon does not answer"

in_background "$bin/steroids-gateway" --listen 127.0.0.1:0 >"$demo/gateway.log" 2>&1
gateway=$!
for _ in $(seq 100); do
  if url=$("$bin/steroidsctl" web 2>/dev/null); then
    break
  fi
  kill -0 "$gateway" 2>/dev/null || fail "the gateway did not start"
  sleep 0.1
done
[ -n "${url:-}" ] || fail "the gateway does not answer"

cd "$demo/project"
"$bin/steroidsctl" init --json >/dev/null
say "In a browser, live (the code in it works once, within a minute; \`steroidsctl web\` prints another):"
echo "  $url"
say "Two invocations, followed as they run. The first is a REPLAY of a recorded claude run; the second is a plain command."
in_background "$bin/steroidsctl" stream --all
stream=$!
replay=$("$bin/steroidsctl" start --task replay-of-a-recording --provider claude-replay \
  --prompt "Find the open TODO items and fix the first one.")
# shellcheck disable=SC2016  # for the inner shell
command=$("$bin/steroidsctl" start --task plain-command -- \
  sh -c 'for n in 1 2 3 4 5; do echo "step $n of 5"; sleep 1; done')
for id in "$replay" "$command"; do
  "$bin/steroidsctl" stream "$id" >/dev/null 2>&1
done

say "Both have ended:"
"$bin/steroidsctl" list

if [ "${RUN_ONCE:-}" = 1 ] || ! [ -t 1 ]; then
  exit 0
fi

say "Daemon and gateway stay up until you press Ctrl-C here. In a second terminal:"
cat <<TEXT
  export PATH=$bin:\$PATH STEROIDS_SOCKET=$STEROIDS_SOCKET STEROIDS_STATE_DIR=$STEROIDS_STATE_DIR
  cd $demo/project

  steroidsctl list                     # what ran, what runs
  steroidsctl show $replay                   # one of them, with its answer
  steroidsctl stream $replay                 # from its first line
  steroidsctl timeline --task replay-of-a-recording
  steroidsctl start --task mine -- sh -c 'while date; do sleep 1; done'
  steroidsctl stop 3                   # with all that it started
  steroidsctl web                      # the page's URL, with another code

TEXT

found=
for cli in claude codex gemini opencode; do
  if path=$(command -v "$cli"); then
    [ -n "$found" ] || echo "With a real agent, which has all permissions there and costs what it costs:"
    found=1
    echo "  steroidsctl start --task try --provider $cli \\"
    echo "    --prompt 'What is in this folder?' --follow     # $path"
  fi
done
if [ -z "$found" ]; then
  echo "None of claude, codex, gemini and opencode is on PATH. With one of them:"
  echo "  steroidsctl start --task try --provider claude --prompt '…' --follow"
fi

wait "$stream"
