# Running natively: local-s3 as the storage, the release programs in the background. Sourced by scripts/run.sh.
# shellcheck shell=sh
#
# target/run has, for each program, NAME.pid (its process id, then its command line) and NAME.log.
# Invariant: a process is only signalled if its command line is still the one that was started.

LAKE_DIR=target/lake
READY_SECONDS=60
STOP_SECONDS=20

# --- processes ---

# The command line of a process; empty if the process does not exist or is a zombie.
command_line() {
  if [ -d /proc/self ]; then
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | sed 's/ $//'
  else
    ps -ww -o args= -p "$1" 2>/dev/null || :
  fi
}

# pid_of NAME: the process id of a program that was started here; fails if it is not running.
pid_of() {
  [ -r "$RUN_DIR/$1.pid" ] || return 1
  { read -r pid && read -r started; } <"$RUN_DIR/$1.pid" || return 1
  [ -n "$pid" ] && [ "$(command_line "$pid")" = "$started" ] && say "$pid"
}

# launch NAME PROGRAM ARGUMENT...: starts a program that outlives this script and its terminal.
launch() {
  name=$1
  shift
  mkdir -p "$RUN_DIR"
  if [ -e "$RUN_DIR/$name.log" ]; then mv -f "$RUN_DIR/$name.log" "$RUN_DIR/$name.log.1"; fi
  if have setsid; then
    setsid "$@" >"$RUN_DIR/$name.log" 2>&1 </dev/null &
  else
    nohup "$@" >"$RUN_DIR/$name.log" 2>&1 </dev/null &
  fi
  printf '%s\n' "$!" "$*" >"$RUN_DIR/$name.pid"
}

# await_ready NAME PATTERN: waits until the program's log matches PATTERN; shows the log if the program ends first.
await_ready() {
  log=$RUN_DIR/$1.log
  tries=0
  # The program replaces its launcher a moment after the launch: allow three seconds before it must exist.
  until grep -q "$2" "$log" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 15 ] && ! pid_of "$1" >/dev/null; then
      grep -q "$2" "$log" && pid_of "$1" >/dev/null && return 0
      tail -n 20 "$log" >&2
      why_not_ready "$log"
      fail "$1 ended before it was ready; its log is $log"
    fi
    if [ "$tries" -gt $((READY_SECONDS * 5)) ]; then
      tail -n 20 "$log" >&2
      fail "$1 is not ready after $READY_SECONDS seconds; its log is $log"
    fi
    sleep 0.2
  done
}

why_not_ready() {
  if grep -q "HINTS_LISTEN.* is taken" "$1"; then
    variable=HINTS_PORT port=$HINTS_PORT
  elif grep -q "is taken" "$1"; then
    variable=S3_PORT port=$S3_PORT
  else
    return 0
  fi
  fail "port $port is taken by another program: stop it, or set another $variable in .env, then make start"
}

# end NAME: asks a program to stop and waits until it has stopped.
end() {
  if pid=$(pid_of "$1"); then
    kill -TERM "$pid" 2>/dev/null || :
    tries=0
    while pid_of "$1" >/dev/null; do
      tries=$((tries + 1))
      if [ "$tries" -gt $((STOP_SECONDS * 5)) ]; then
        say "$1 (process $pid) did not stop within $STOP_SECONDS seconds: killed"
        kill -KILL "$pid" 2>/dev/null || :
        break
      fi
      sleep 0.2
    done
    say "stopped $1"
  fi
  rm -f "$RUN_DIR/$1.pid"
}

# --- what runs ---

# This script runs the storage if the lake is in a bucket and its endpoint is this machine's S3_PORT.
needs_storage() {
  case "$LAKE_URL" in s3://*) ;; *) return 1 ;; esac
  case "${AWS_ENDPOINT_URL:-}" in
    "http://127.0.0.1:$S3_PORT" | "http://localhost:$S3_PORT") return 0 ;;
    *) return 1 ;;
  esac
}

bucket() {
  rest=${LAKE_URL#s3://}
  say "${rest%%/*}"
}

start_storage() {
  if ! needs_storage; then
    say "storage        not started here: LAKE_URL is $LAKE_URL, AWS_ENDPOINT_URL is \"${AWS_ENDPOINT_URL:-}\""
    return 0
  fi
  set -- "$bin/local-s3" --root "$LAKE_DIR" --port "$S3_PORT" --bucket "$(bucket)" --notify "http://127.0.0.1:$HINTS_PORT/"
  if pid_of local-s3 >/dev/null && ! grep -Fqx "$*" "$RUN_DIR/local-s3.pid"; then
    say "storage        restarting: its settings have changed"
    end producer
    end consumer
    end local-s3
  fi
  if pid=$(pid_of local-s3); then
    say "storage        runs already: local-s3 at $AWS_ENDPOINT_URL (process $pid)"
    return 0
  fi
  launch local-s3 "$@"
  await_ready local-s3 '^http://'
  say "storage        local-s3 at $AWS_ENDPOINT_URL, its files in $LAKE_DIR"
}

start_program() {
  name=$1 pattern=$2
  shift 2
  if pid=$(pid_of "$name"); then
    printf "%-14s runs already (process %s)\n" "$name" "$pid"
    return 0
  fi
  launch "$name" "$@"
  await_ready "$name" "$pattern"
  printf "%-14s %s\n" "$name" "$*" | sed "s|$bin/||"
}

run_start() {
  have cargo || fail "cargo is not installed: get Rust from https://rustup.rs, or start a Docker engine"
  remember_mode
  say "Running natively without Docker, with local-s3 instead of MinIO."
  build_programs
  bin=$(target_dir)/release
  # Readiness is read from the log: the user's RUST_LOG must not silence that line.
  [ -z "${RUST_LOG:-}" ] || export RUST_LOG="$RUST_LOG,consumer=info,producer=info,local_s3=info"
  # The storage sends the token that the consumer asks for, if there is one.
  export NOTIFY_TOKEN="${HINTS_TOKEN:-}"
  start_storage
  start_program consumer ' ready ' "$bin/consumer" run --stream events --hints "127.0.0.1:$HINTS_PORT"
  start_program producer 'sending batches' "$bin/producer" --stream events
  next_steps
}

run_stop() {
  pid_of producer >/dev/null || pid_of consumer >/dev/null || say "neither producer nor consumer is running"
  # The producer first, so that the consumer may still read its last batches.
  end producer
  end consumer
  if pid_of local-s3 >/dev/null; then
    say "the storage stays up; make clean stops it and deletes the lake"
  fi
}

run_clean() {
  end producer
  end consumer
  end local-s3
  rm -rf "$RUN_DIR" "$LAKE_DIR"
  say "cleaned: everything is stopped, and $LAKE_DIR is deleted"
}

run_logs() {
  set -- "${1:-producer consumer}"
  # shellcheck disable=SC2086 # one word per service
  set -- $1
  logs=
  for name in "$@"; do
    [ -e "$RUN_DIR/$name.log" ] || fail "$name has no log: make start first (possible names: producer, consumer, local-s3)"
    logs="$logs $RUN_DIR/$name.log"
  done
  # shellcheck disable=SC2086
  exec tail -n 20 -F $logs
}

# program NAME: the path of a release program; builds it if it does not exist.
program() {
  path=$(target_dir)/release/$1
  [ -x "$path" ] || build_programs >&2
  say "$path"
}

require_storage() {
  if needs_storage && ! pid_of local-s3 >/dev/null; then
    fail "the storage is not up: make start first"
  fi
}

run_status() { consumer_tells status "${1:-events}"; }
run_verify() { consumer_tells verify "${1:-events}"; }

consumer_tells() {
  require_storage
  consumer=$(program consumer)
  exec "$consumer" "$1" --stream "$2"
}

run_minio() {
  require_storage
  say "local-s3 has no console. Any S3 client can list its objects, for example:"
  say ""
  say "  make duckdb                       then: from checkpoints.files;"
  say "  aws s3 ls --recursive $LAKE_URL   endpoint $AWS_ENDPOINT_URL"
  say ""
  say "Login: AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL"
}

run_duckdb() {
  require_storage
  reader=$(program reader)
  exec "$reader" "$@"
}
