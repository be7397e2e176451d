# Running with Docker Compose, on MinIO. Sourced by scripts/run.sh.
# shellcheck shell=sh

READY_SECONDS=60
CONSOLE_URL=http://127.0.0.1:$MINIO_CONSOLE_PORT

not_up() {
  docker compose ps --all
  docker compose logs --tail 20
  fail "not everything is up; if a port is taken, set another S3_PORT or MINIO_CONSOLE_PORT in .env, then make start"
}

run_start() {
  remember_mode
  say "A Docker engine answers: running with Docker Compose, on MinIO."
  # Returns when the bucket exists and the programs have started: docker-compose.yml defines what waits for what.
  docker compose up --build --detach minio bucket consumer producer || not_up
  tries=0
  until docker compose logs --no-log-prefix consumer 2>/dev/null | grep -q ' ready '; do
    tries=$((tries + 1))
    [ "$tries" -le "$READY_SECONDS" ] || not_up
    sleep 1
  done
  say "storage        MinIO at http://127.0.0.1:$S3_PORT, console at $CONSOLE_URL"
  next_steps
}

run_stop() {
  docker compose stop producer consumer
  say "the storage stays up; make clean stops it and deletes the lake"
}

run_clean() {
  docker compose --profile manual down --volumes --remove-orphans --timeout 0
  rm -rf "$RUN_DIR"
  say "cleaned: everything is stopped, and the lake's volume is deleted"
}

run_logs() {
  if [ $# -gt 0 ]; then set -- "$@"; else set -- producer consumer; fi
  exec docker compose logs --tail 20 --follow "$@"
}

require_storage() {
  [ -n "$(docker compose ps --quiet --status running minio 2>/dev/null)" ] || fail "the storage is not up: make start first"
}

run_status() { consumer_tells status "${1:-events}"; }
run_verify() { consumer_tells verify "${1:-events}"; }

consumer_tells() {
  require_storage
  exec docker compose run --rm --no-deps --no-TTY consumer "$1" --stream "$2"
}

run_minio() {
  require_storage
  say "MinIO's console: $CONSOLE_URL   user: $AWS_ACCESS_KEY_ID   password: $AWS_SECRET_ACCESS_KEY"
  open_in_browser "$CONSOLE_URL"
}

run_duckdb() {
  require_storage
  # SQL may also come through a pipe, which has no TTY.
  if [ -t 0 ]; then exec docker compose run --rm --no-deps reader "$@"; fi
  exec docker compose run --rm --no-deps --no-TTY reader "$@"
}
