#!/usr/bin/env bash
# Usage: bash scripts/run_export.sh MODEL OUT [BATCH [EXTRA ARGUMENTS]]
# Writes MindIR of every stage. MODEL: a trained model such as WORK/fold0; OUT: a folder or .zip to write;
# BATCH: a number, dynamic or both (default: both); EXTRA ARGUMENTS as of `kidneyseg export`.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
model=$1 out=$2 batch=${3:-both}
shift $(($# < 3 ? $# : 3))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/setup_env.sh
source "$root/scripts/setup_env.sh" any
exec python "$root/export.py" -m "$model" -o "$out" --batch "$batch" "$@"
