#!/usr/bin/env bash
# Usage: bash scripts/run_distribute_train.sh DEVICE_TARGET DEVICE_NUM WORK [RECIPE [STAGE [FOLD [EXTRA ARGUMENTS]]]]
# Trains data-parallel on DEVICE_NUM devices of this machine; a step takes DEVICE_NUM times the recipe's batch_size.
# Other arguments as of run_standalone_train.sh. Output of each rank: WORK/fold<FOLD>/<STAGE>/msrun/worker_<RANK>.log
set -euo pipefail
if [ $# -lt 3 ] || ! [[ $2 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
fi
device=$1 ranks=$2 work=$3 recipe=${4:-$3/recipe.yaml} stage=${5:-all} fold=${6:-0}
shift $(($# < 6 ? $# : 6))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/setup_env.sh
source "$root/scripts/setup_env.sh" any
logs=$work/fold$fold/$stage/msrun
rm -rf "$logs"
mkdir -p "$logs"
port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# msrun's own tail would outlive it when it is interrupted; the number of no rank turns that off.
python -m mindspore.parallel.cluster.run --worker_num="$ranks" --local_worker_num="$ranks" --master_port="$port" \
  --bind_core=False --join=True --log_dir="$logs" --tail_worker_log="$ranks" -- \
  "$root/train.py" -c "$recipe" --work "$work" --stage "$stage" --fold "$fold" --device "$device" "$@" \
  >"$logs/msrun.log" 2>&1 &
msrun=$!
trap 'kill "$msrun" 2>/dev/null || true' EXIT  # the ranks and the scheduler die with msrun
trap 'exit 130' INT
trap 'exit 143' TERM
tail -n +1 --pid="$msrun" -F "$logs/worker_0.log" 2>/dev/null &

status=0
wait "$msrun" || status=$?
wait
if [ "$status" -ne 0 ]; then
  # A rank that msrun stopped because another failed has nothing to say.
  failed=$(grep -lE 'error:|Error|Traceback' "$logs"/worker_*.log 2>/dev/null || true)
  while read -r log; do
    echo "--- the end of $log:" >&2
    tail -n 20 "$log" >&2
  done <<<"${failed:-$logs/msrun.log}"
  echo "run_distribute_train: training ended with status $status; all output is in $logs" >&2
fi
exit "$status"
