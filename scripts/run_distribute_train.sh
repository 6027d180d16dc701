#!/usr/bin/env bash
# Usage: bash scripts/run_distribute_train.sh DEVICE_TARGET DEVICE_NUM WORK [RECIPE [STAGE [FOLD [EXTRA ARGUMENTS]]]]
#    or: bash scripts/run_distribute_train.sh OPTIONS DEVICE_TARGET DEVICE_NUM WORK ...
# Trains data-parallel on DEVICE_NUM devices of this machine, or of each of several machines. A step takes batch_size of
# the recipe times the number of all devices. Other arguments as of run_standalone_train.sh. Output of each rank:
# WORK/fold<FOLD>/<STAGE>/msrun/worker_<RANK>.log; with --node_rank in a folder node<NUMBER> there.
#
# Eight devices of one machine:
#   bash scripts/run_distribute_train.sh Ascend 8 WORK mplab coarse 0
# Two machines with eight each, which share WORK. Run one line on each, within ten minutes:
#   bash scripts/run_distribute_train.sh --worker_num=16 --node_rank=0 --master_addr=10.0.0.1 Ascend 8 WORK mplab coarse
#   bash scripts/run_distribute_train.sh --worker_num=16 --node_rank=1 --master_addr=10.0.0.1 Ascend 8 WORK mplab coarse
# The same with a rank table, which hccl_tools.py writes, instead of msrun (Ascend only):
#   bash scripts/run_distribute_train.sh --rank_table_file=FILE --node_rank=0 Ascend 8 WORK mplab coarse
#
# Options, named as msrun's; DEVICE_NUM is its --local_worker_num:
#   --worker_num=N          devices of all machines, a multiple of DEVICE_NUM (default: DEVICE_NUM)
#   --node_rank=N           number of this machine, from 0
#   --master_addr=ADDRESS   address of machine 0, at which the others reach it
#   --master_port=PORT      a free port of machine 0 (default: 8118; of one machine: any free one)
#   --bind_core=VALUE       True: each process keeps to its share of the cores; or msrun's JSON (default: False)
#   --rank_table_file=FILE  start the ranks without msrun (default for Ascend without msrun's options:
#                           $RANK_TABLE_FILE; empty: msrun)
set -euo pipefail
fail() {
  echo "run_distribute_train: error: $1" >&2
  exit 2
}
worker_num='' node_rank='' master_addr='' master_port='' bind_core='' rank_table_file=from-environment
while [[ ${1-} == --* ]]; do
  name=${1%%=*}
  if [[ $1 != *=* ]]; then
    [ $# -gt 1 ] || fail "$name: expected a value"
    set -- "$name=$2" "${@:3}"
  fi
  case $name in
    --worker_num | --node_rank | --master_port) [[ ${1#*=} =~ ^(0|[1-9][0-9]*)$ ]] || fail "$1: expected a number" ;;
    --master_addr | --bind_core | --rank_table_file) ;;
    *) fail "$name: no such option; without arguments, this script says which there are" ;;
  esac
  printf -v "${name#--}" %s "${1#*=}"
  shift
done
if [ $# -lt 3 ] || ! [[ $2 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
device=$1 ranks=$2 work=$3 recipe=${4:-$3/recipe.yaml} stage=${5:-all} fold=${6:-0}
shift $(($# < 6 ? $# : 6))
for_msrun=$worker_num$master_addr$master_port$bind_core
if [ "$rank_table_file" = from-environment ]; then
  rank_table_file=''
  [[ $device != Ascend || -n $for_msrun ]] || rank_table_file=${RANK_TABLE_FILE-}
fi
# Each of them would train on its own, and all would write to the same folder.
if [ -z "$node_rank" ] && [[ ${SLURM_STEP_NUM_TASKS:-1} != 1 || ${OMPI_COMM_WORLD_SIZE:-1} != 1 ]]; then
  fail "srun or mpirun runs it several times: expected --node_rank, different on each machine"
fi
if [ -z "$rank_table_file" ]; then
  worker_num=${worker_num:-$ranks}
  machines=$((worker_num / ranks))
  if ((machines == 0 || worker_num % ranks)); then
    fail "--worker_num=$worker_num: expected a multiple of DEVICE_NUM, $ranks"
  elif ((machines > 1)) && [[ -z $node_rank || -z $master_addr ]]; then
    fail "--worker_num=$worker_num with $ranks devices on each machine: expected --node_rank and --master_addr, too"
  elif ((${node_rank:-0} >= machines)); then
    fail "--node_rank=$node_rank: expected a number below $machines, that of the machines (--worker_num / DEVICE_NUM)"
  fi
elif [[ $device != Ascend || -n $for_msrun ]]; then
  fail "--rank_table_file=$rank_table_file: expected DEVICE_TARGET Ascend, and no other option than --node_rank"
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/setup_env.sh
source "$root/scripts/setup_env.sh" any
logs=$work/fold$fold/$stage/msrun${node_rank:+/node$node_rank}
command=("$root/train.py" -c "$recipe" --work "$work" --stage "$stage" --fold "$fold" --device "$device" "$@")

# Runs until all ranks end, or the first fails; ends them when it is ended.
# shellcheck disable=SC2329
run_rank_table() {
  local rank id
  trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
  trap 'exit 143' TERM
  while read -r rank id; do
    RANK_TABLE_FILE=$rank_table_file RANK_SIZE=$size RANK_ID=$rank DEVICE_ID=$id \
      python "${command[@]}" >"$logs/worker_$rank.log" 2>&1 &
  done <<<"$table"
  for _ in $(jobs -p); do
    wait -n || exit 1
  done
}

if [ -n "$rank_table_file" ]; then
  table=$(python -m kidneyseg.training.rank_table "$rank_table_file" "${node_rank:-0}" "$ranks")
  size=${table%%$'\n'*}
  if [ -z "$node_rank" ] && ((size != ranks)); then
    fail "$rank_table_file: expected $ranks devices, or --node_rank, found $size devices"
  fi
  table=${table#*$'\n'} first=${table%% *}
  launch=(run_rank_table)
else
  if [ -z "$master_port" ] && ((machines == 1)); then
    master_port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  fi
  first=$((${node_rank:-0} * ranks))
  # msrun's own tail would outlive it when it is interrupted; the number of no rank turns that off.
  launch=(python -m mindspore.parallel.cluster.run --worker_num="$worker_num" --local_worker_num="$ranks"
    --master_addr="${master_addr:-127.0.0.1}" --master_port="${master_port:-8118}" --node_rank="${node_rank:--1}"
    --bind_core="${bind_core:-False}" --join=True --log_dir="$logs" --tail_worker_log="$worker_num" -- "${command[@]}")
fi
rm -rf "$logs"
mkdir -p "$logs"
"${launch[@]}" >"$logs/msrun.log" 2>&1 &
launcher=$!
trap 'kill "$launcher" 2>/dev/null || true' EXIT  # the ranks and the scheduler die with it
trap 'exit 130' INT
trap 'exit 143' TERM
tail -n +1 --pid="$launcher" -F "$logs/worker_$first.log" 2>/dev/null &

status=0
wait "$launcher" || status=$?
wait
if [ "$status" -ne 0 ]; then
  # A rank that was stopped because another failed has nothing to say.
  failed=$(grep -lE 'error:|Error|Traceback' "$logs"/worker_*.log 2>/dev/null || true)
  while read -r log; do
    echo "--- the end of $log:" >&2
    tail -n 20 "$log" >&2
  done <<<"${failed:-$logs/msrun.log}"
  echo "run_distribute_train: training ended with status $status; all output is in $logs" >&2
fi
exit "$status"
