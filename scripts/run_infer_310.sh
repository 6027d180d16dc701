#!/usr/bin/env bash
# Usage: bash scripts/run_infer_310.sh MODEL_PACKAGE DATA_PATH [NEED_PREPROCESS [DEVICE_ID [DEVICE_TARGET]]]
# Segments scans with exported graphs, without MindSpore in Python: the whole cascade, its networks run by C++.
# MODEL_PACKAGE: folder or .zip of `kidneyseg export`; DATA_PATH: a scan or a data folder (with masks: scores are printed, too);
# NEED_PREPROCESS: y (default), or n to take the tensors of an earlier run; DEVICE_ID: which NPU (default: 0);
# DEVICE_TARGET: Ascend310 (default: MindIR on MindSpore Lite, unpacked in LITE_HOME) or CPU (ONNX on OpenVINO).
# Writes to the current folder: preprocess_Result, result_Files, time_Result, masks and scores.
set -euo pipefail
if [ $# -lt 2 ] || [ $# -gt 5 ]; then
  sed -n '2,7s/^# //p' "$0" >&2
  exit 2
fi
package=$1 data=$2 preprocess=${3:-y} device_id=${4:-0} device=${5:-Ascend310}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/setup_env.sh
source "$root/scripts/setup_env.sh" any
build=$root/ascend310_infer/build
mkdir -p "$build"
if ! bash "$root/ascend310_infer/build.sh" "$build" >"$build/build.log" 2>&1; then
  tail -n 20 "$build/build.log" >&2
  echo "run_infer_310: error: ascend310_infer cannot be built, see above and $build/build.log" >&2
  exit 2
fi
exec python -m kidneyseg deploy "$package" "$data" --preprocess "$preprocess" --device-id "$device_id" \
  --device "$device" --program "$build/kidneyseg_infer"
