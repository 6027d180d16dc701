#!/usr/bin/env bash
# Usage: [LITE_HOME=DIR] bash ascend310_infer/build.sh [BUILD_DIR]
# Builds kidneyseg_infer and its tests in BUILD_DIR (default: ascend310_infer/build) with what this machine has:
# MindSpore Lite in LITE_HOME (MindIR on Ascend and CPU), the Python package openvino (ONNX on CPU), or both.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-$here/build}
mkdir -p "$build"
exec 9>"$build/.lock"
flock 9  # builds that start together wait for the first
# find_spec looks the package up without running it
openvino=$(python3 -c 'import importlib.util as u; s = u.find_spec("openvino"); print(s.submodule_search_locations[0] if s else "")')
cmake -S "$here" -B "$build" -DCMAKE_BUILD_TYPE="${CMAKE_BUILD_TYPE:-Release}" \
  -DLITE_HOME="${LITE_HOME:-}" -DOpenVINO_DIR="${openvino:+$openvino/cmake}"
cmake --build "$build" --parallel "$(nproc)"
