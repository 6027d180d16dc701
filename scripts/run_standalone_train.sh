#!/usr/bin/env bash
# Usage: bash scripts/run_standalone_train.sh DEVICE_TARGET WORK [RECIPE [STAGE [FOLD [EXTRA ARGUMENTS]]]]
# Trains on one device. DEVICE_TARGET: Ascend, GPU, CPU or auto; WORK: the folder that `kidneyseg prepare` filled;
# RECIPE (default: WORK/recipe.yaml), STAGE (default: all), FOLD (default: 0); EXTRA ARGUMENTS as of `kidneyseg train`.
# Of several cards it takes number 0, or the one that the environment names: DEVICE_ID=3 bash scripts/run_standalone...
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,5s/^# //p' "$0" >&2
  exit 2
fi
device=$1 work=$2 recipe=${3:-$2/recipe.yaml} stage=${4:-all} fold=${5:-0}
shift $(($# < 5 ? $# : 5))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/setup_env.sh
source "$root/scripts/setup_env.sh" any
exec python "$root/train.py" -c "$recipe" --work "$work" --stage "$stage" --fold "$fold" --device "$device" "$@"
