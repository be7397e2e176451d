#!/bin/sh
# Checks what cargo does not: one version of arrow, valid scripts, and documents that name only what exists.
#
# Exit codes: 0 no problems; 1 problems, one per line on stderr.
set -u

cd "$(dirname "$0")/.." || exit 1
problems=0
problem() {
  printf 'lint: %s\n' "$*" >&2
  problems=$((problems + 1))
}

# Two versions of one of these would mean two incompatible types with the same name.
doubles=$(sed -n 's/^name = "\(arrow\|arrow-.*\|parquet\|object_store\)"$/\1/p' Cargo.lock | sort | uniq -d | tr '\n' ' ')
[ -z "$doubles" ] || problem "Cargo.lock has more than one version of: $doubles"

scripts=$(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
for script in $scripts; do
  case "$(head -n 1 "$script")" in *bash) shell="bash" ;; *) shell="sh" ;; esac
  "$shell" -n "$script" || problem "$script is not a valid shell script"
done
if command -v shellcheck >/dev/null 2>&1; then
  # SC3013: dash, bash and ksh, the shells used as /bin/sh, all support -ef.
  # shellcheck disable=SC2086 # one word per script
  shellcheck -x -S warning -e SC3013 $scripts || problem "shellcheck found problems"
else
  printf 'lint: shellcheck is not installed; scripts were only parsed\n' >&2
fi

targets=$(sed -n 's/^\([a-z-]*\):.*/\1/p' Makefile)
documents=$(git ls-files --cached --others --exclude-standard -- '*.md')
for document in $documents; do
  for target in $(grep -o '`make [a-z-]*' "$document" | sed 's/.* //' | sort -u); do
    printf '%s\n' "$targets" | grep -qx "$target" || problem "$document: make $target does not exist"
  done
  # Links within the repository: ](path) and srcset="path" or src="path".
  for link in $(grep -oE '\]\([^)#: ]+|src(set)?="[^"#:]+' "$document" | sed 's/^](//; s/^src.*="//'); do
    [ "$link" = https ] || [ -e "$(dirname "$document")/$link" ] || problem "$document: $link does not exist"
  done
done

# Plain English: no phrase of scripts/words.txt in a document, a comment or a string.
words=$(grep -v '^#' scripts/words.txt | paste -sd'|' -)
phrases() {
  # shellcheck disable=SC2046 # one word per file
  grep -nEi "$1" $(git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null | grep -v "scripts/words.txt\|^CONTRIBUTING.md") /dev/null
}
found=$(
  phrases "$words" '*.md'
  phrases "(//|\").*($words)" '*.rs'
  phrases "(#|\").*($words)" '*.sh' '*.py' '*.toml' Makefile .ci/run
)
[ -z "$found" ] || problem "phrases that scripts/words.txt refuses:
$found"

# Heavy libraries stay in one crate each; tests may use more.
only_in() {
  for manifest in $(git ls-files -- '*/Cargo.toml'); do
    [ "$manifest" = "$2/Cargo.toml" ] && continue
    if sed '/^\[dev-dependencies\]/,$d' "$manifest" | grep -qE "^($1)[. ]"; then problem "$manifest: $1 belongs in $2 alone"; fi
  done
}
only_in 'arrow|parquet' tables
only_in jsonschema consumer
only_in duckdb reader
only_in redb dev/local-s3

[ "$problems" -eq 0 ] || exit 1
printf 'lint: one version of arrow, parquet and object_store; scripts and documents are valid\n'
