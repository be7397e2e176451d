#!/bin/sh
# Starts, stops and shows Sluice on this machine, with Docker Compose or natively: what the make targets call.
#
#   scripts/run.sh start | stop | clean | logs [SERVICE] | status [STREAM] | verify [STREAM] | minio |
#                  duckdb [ARGUMENT...] | build
#
# RUN_WITH=compose or RUN_WITH=native decides; otherwise Compose where a Docker engine answers. Whatever `start` used
# is remembered until `clean`, so that `stop` stops what was started.
set -eu

cd "$(dirname "$0")/.."
RUN_DIR=target/run
MODE_FILE=$RUN_DIR/mode

. scripts/run/common.sh
load_env

command=${1:-}
[ $# -eq 0 ] || shift
mode=$(mode)
case "$mode" in
  compose) . scripts/run/compose.sh ;;
  native) . scripts/run/native.sh ;;
  *) fail "RUN_WITH=$mode: say compose or native" ;;
esac

case "$command" in
  build) build_programs ;;
  start | stop | clean | logs | status | verify | minio | duckdb) "run_$command" "$@" ;;
  *) fail "$command is none of start, stop, clean, logs, status, verify, minio, duckdb, build" ;;
esac
