#!/bin/sh
# Starts, stops and shows Sluice on this machine, with Docker Compose or natively. The make targets call it.
#
#   scripts/run.sh start | stop | clean | logs [SERVICE] | status [STREAM] | verify [STREAM] | minio |
#                  duckdb [ARGUMENT...] | build
#
# RUN_WITH=compose or RUN_WITH=native decides; without it, Compose if a Docker engine answers. The choice of `start` is
# remembered until `clean`, so that `stop` stops what was started.
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
  *) fail "RUN_WITH is $mode: use compose or native" ;;
esac

case "$command" in
  build) build_programs ;;
  start | stop | clean | logs | status | verify | minio | duckdb) "run_$command" "$@" ;;
  *) fail "\"$command\" is not one of start, stop, clean, logs, status, verify, minio, duckdb, build" ;;
esac
