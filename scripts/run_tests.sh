#!/usr/bin/env bash
# Usage: bash scripts/run_tests.sh [PYTEST ARGUMENTS]
# Sets up .venv with the test extra and runs the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup_env.sh test
exec python -m pytest "$@"
