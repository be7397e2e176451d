#!/bin/sh
# Draws diagrams/architecture.dot twice: for light pages and, with the colours below replaced, for dark ones.
set -eu

cd "$(dirname "$0")/../diagrams"
command -v dot >/dev/null 2>&1 || {
  echo "error: Graphviz is not installed: apt-get install graphviz, or brew install graphviz" >&2
  exit 1
}

# Drops the comments that name Graphviz's version, so that other versions that draw the same write the same bytes.
draw() { dot -Tsvg | sed -e '/^<!--.*-->$/d' -e '/^<!--/,/-->$/d'; }

draw <architecture.dot >architecture-light.svg

# light ink, line, raw, bronze, dead letters, ledger, programs -> their dark counterparts
sed -e 's/#1f2328/#e6edf3/g' -e 's/#59636e/#9198a1/g' -e 's/#ddf4ff/#0c2d4a/g' -e 's/#fff1d6/#3d2a05/g' \
  -e 's/#ffe2e0/#4a1512/g' -e 's/#e6e0fb/#2b2154/g' -e 's/#f6f8fa/#21262d/g' -e 's/#d1d9e0/#3d444d/g' \
  -e 's/#0969da/#4493f8/g' -e 's/#9a6700/#d29922/g' -e 's/#cf222e/#f85149/g' -e 's/#8250df/#ab7df8/g' \
  architecture.dot | draw >architecture-dark.svg
