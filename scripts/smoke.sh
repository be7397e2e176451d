#!/bin/sh
# Runs what README.md shows to a new user, and checks that it works. Starts from a clean checkout and leaves nothing.
#
#   scripts/smoke.sh           RUN_WITH=native or RUN_WITH=compose decides how, as for make start
#
# Exit codes: 0 everything works; 1 something does not: the first failure is on stderr.
set -eu

cd "$(dirname "$0")/.."
WAIT_SECONDS=90

step() { printf '\nsmoke: %s\n' "$*"; }
fail() {
  printf 'smoke: FAILED: %s\n' "$*" >&2
  exit 1
}

[ ! -e target/run ] || fail "something was started here before: make clean first (it deletes the lake)"

clean_up() {
  code=$?
  trap - EXIT
  if [ "$code" -ne 0 ]; then
    tail -n 30 target/run/*.log 2>/dev/null || :
  fi
  make --silent clean >/dev/null 2>&1 || :
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# sql STATEMENT: prints its result as CSV, without the header.
sql() { scripts/run.sh duckdb --format csv -c "$1" </dev/null | sed 1d; }

# until_counts CONDITION: waits until it is true of the counts of rows ($rows) and dead letters ($letters).
until_counts() {
  tries=0
  while :; do
    counts=$(sql "select (select count(*) from bronze.events), (select count(*) from dead_letters.events)")
    rows=${counts%,*} letters=${counts#*,}
    if eval "$1"; then break; fi
    tries=$((tries + 1))
    [ "$tries" -lt "$WAIT_SECONDS" ] || fail "after $WAIT_SECONDS seconds: $rows rows, $letters dead letters; expected $1"
    sleep 1
  done
  printf 'smoke: %s rows, %s dead letters\n' "$rows" "$letters"
}

step "make start"
make start </dev/null

step "rows and dead letters appear, and grow"
# shellcheck disable=SC2016 # the condition is evaluated later
until_counts '[ "$rows" -gt 0 ] && [ "$letters" -gt 0 ]'
# shellcheck disable=SC2034 # used by the condition
before=$rows
# shellcheck disable=SC2016
until_counts '[ "$rows" -gt "$before" ]'

step "starting again is harmless"
make start </dev/null | tee target/run/second-start.txt
# Natively each program says so; Docker Compose shows containers that run.
grep -qE 'runs already|^ *(✔ )?Container .*Running' target/run/second-start.txt || fail "the second start did not notice the first"

step "the queries of README.md"
awk '/^```sql$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >target/run/readme.sql
[ -s target/run/readme.sql ] || fail "README.md has no SQL"
cat target/run/readme.sql
make --silent duckdb <target/run/readme.sql

step "make status, make verify"
make status
make verify

step "make stop"
make stop
sql "select 'the storage still answers and has ' || count(*) || ' rows' from bronze.events"
left=$(sql "select count(*) from bronze.events")
sleep 3
[ "$(sql "select count(*) from bronze.events")" = "$left" ] || fail "rows still appear after make stop"

step "make start continues where it stopped"
make start </dev/null
# shellcheck disable=SC2016
until_counts '[ "$rows" -gt "$left" ]'
make stop
make verify

step "make clean"
make clean
[ ! -e target/run ] || fail "target/run is still there"
[ ! -e target/lake ] || fail "target/lake is still there"
if make --silent status >/dev/null 2>&1; then fail "make status still answers"; fi

printf '\nsmoke: everything works\n'
