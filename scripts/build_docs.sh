#!/usr/bin/env bash
# Usage: bash scripts/build_docs.sh [OUT]
# Builds the documentation as HTML in OUT (default: docs/_build). Warnings, such as of dead links, are errors.
# Uses the current environment if it has the docs extra of setup.py, else .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! python -c 'import furo, myst_parser, sphinx' 2>/dev/null; then
  source scripts/setup_env.sh docs
fi
out=${1:-docs/_build}
python -m sphinx -W --keep-going -n -q -c docs . "$out"
echo "written: $out/docs/index.html"
