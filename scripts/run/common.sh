# Functions shared by compose.sh and native.sh. Sourced by scripts/run.sh.
# shellcheck shell=sh

say() { printf '%s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Sets each variable in .env that the environment does not have, for this script alone: the programs and Compose read the
# file themselves. Expands ${OTHER} in a value that is not in single quotes.
load_env() {
  while IFS= read -r line || [ -n "$line" ]; do
    name=${line%%=*} value=${line#*=}
    case "$name" in "$line" | "" | [0-9]* | *[!A-Z0-9_]*) continue ;; esac
    eval "[ -z \"\${$name+set}\" ]" || continue
    # What follows the closing quote is a comment.
    case "$value" in
      \'*) value=${value#\'} && value=${value%%\'*} && eval "$name=\$value" && continue ;;
      \"*) value=${value#\"} && value=${value%%\"*} ;;
      *) value=${value%% #*} ;;
    esac
    case "$value" in
      *[\"\\\`]* | *'$('*) fail ".env: the value of $name has a quote, a backslash or a command in it; write it in single quotes" ;;
    esac
    eval "$name=\"$value\""
  done <.env
}

# within SECONDS COMMAND...: runs a command that may hang; fails if it takes longer. Drops its output.
within() {
  (
    limit=$1
    shift
    "$@" >/dev/null 2>&1 </dev/null &
    pid=$!
    (sleep "$limit" && kill -9 "$pid") >/dev/null 2>&1 &
    guard=$!
    wait "$pid"
    code=$?
    kill "$guard" 2>/dev/null
    exit "$code"
  ) 2>/dev/null
}

docker_answers() { have docker && within 5 docker info && docker compose version >/dev/null 2>&1; }

# How to run: as RUN_WITH says, as started before, or with Compose if a Docker engine answers.
mode() {
  if [ -n "${RUN_WITH:-}" ]; then
    say "$RUN_WITH"
  elif [ -r "$MODE_FILE" ]; then
    cat "$MODE_FILE"
  elif docker_answers; then
    say compose
  else
    say native
  fi
}

remember_mode() {
  mkdir -p "$RUN_DIR"
  # shellcheck disable=SC2154 # set by scripts/run.sh
  say "$mode" >"$MODE_FILE"
}

# Asks cargo, since several settings can move the target folder.
target_dir() {
  cargo metadata --format-version 1 --no-deps 2>/dev/null | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

build_programs() {
  if scripts/fetch-duckdb.sh; then
    cargo build --release --workspace --bins
  else
    say "building DuckDB from source instead; this takes about 18 minutes on 2 cores"
    cargo build --release --workspace --bins --features reader/bundled
  fi
}

open_in_browser() {
  for opener in xdg-open open; do
    if have "$opener"; then
      "$opener" "$1" >/dev/null 2>&1 || :
      return 0
    fi
  done
}

next_steps() {
  say ""
  say "Next:  make duckdb   query rows and dead letters with SQL"
  say "       make status   show how far the stream is"
  say "       make logs     follow producer and consumer"
  say "       make stop     stop producer and consumer; make clean deletes the lake too"
}
