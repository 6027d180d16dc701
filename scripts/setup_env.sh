#!/usr/bin/env bash
# Usage: source scripts/setup_env.sh any|EXTRA
# any: enters an environment with kidneyseg, the current one if it has it, else .venv, made and filled from this checkout.
# EXTRA, an extra of setup.py such as "test": enters .venv, filled with what it names too.
# The argument must be given: without one, bash would hand over those of the script that sources this.
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.10 python3}; do
    if "$candidate" -c 'import sys; raise SystemExit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "setup: expected Python 3.10 or 3.11 (MindSpore's wheels), found none. Install one, or set PYTHON=/path/to/it." >&2
  return 1
}

enter_venv() {
  local extra=$1 python stamp
  if [ ! -x "$project/.venv/bin/python" ]; then
    python=$(find_python) || exit 2
    echo "Creating $project/.venv with $("$python" --version)"
    "$python" -m venv "$project/.venv" || exit 2
  fi
  # shellcheck disable=SC1091
  source "$project/.venv/bin/activate"
  stamp="$project/.venv/.installed-${extra:-base}"
  if [ ! -f "$stamp" ] || [ "$project/setup.py" -nt "$stamp" ]; then
    echo "Installing kidneyseg and what it needs (about a minute)"
    python -m pip install --quiet --disable-pip-version-check -e "$project${extra:+[$extra]}" || exit 2
    touch "$stamp"
  fi
}

if [ "$1" != any ]; then
  enter_venv "$1"
elif ! python -c 'import kidneyseg' 2>/dev/null; then
  enter_venv ""
fi
