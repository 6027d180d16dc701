#!/usr/bin/env bash
# Usage: bash scripts/run_eval.sh DEVICE_TARGET WORK [FOLD [EXTRA ARGUMENTS]]
# Scores a trained recipe on the validation cases of FOLD (default: 0; or all). DEVICE_TARGET: Ascend, GPU, CPU or auto;
# WORK: the folder of `kidneyseg prepare` and `kidneyseg train`; EXTRA ARGUMENTS as of `kidneyseg eval`.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
device=$1 work=$2 fold=${3:-0}
shift $(($# < 3 ? $# : 3))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/setup_env.sh
source "$root/scripts/setup_env.sh" any
exec python "$root/eval.py" --work "$work" --fold "$fold" --device "$device" "$@"
