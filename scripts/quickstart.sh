#!/usr/bin/env bash
# Usage: bash scripts/quickstart.sh [WORK_DIR]
# Sets up .venv and runs the whole system once on made-up data: phantom CTs, training, scores, a prediction, pictures,
# a report page and MindIR, in WORK_DIR (default: demo/).
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup_env.sh any
exec kidneyseg demo --work "${1:-demo}"
