#!/usr/bin/env bash
# Usage: source scripts/setup_env.sh [EXTRA]
# Makes (once) and enters .venv with kidneyseg installed from this checkout; EXTRA is a setup.py extra such as "test".
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.10 python3}; do
    if "$candidate" -c 'import sys; raise SystemExit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "setup: expected Python 3.10 or 3.11 (MindSpore's wheels), found none. Install one, or set PYTHON=/path/to/python3.11." >&2
  return 1
}

if [ ! -x "$root/.venv/bin/python" ]; then
  python=$(find_python) || exit 2
  echo "Creating $root/.venv with $("$python" --version)"
  "$python" -m venv "$root/.venv" || exit 2
fi
# shellcheck disable=SC1091
source "$root/.venv/bin/activate"
# Reinstalled only when setup.py or the extra asked for changes.
stamp="$root/.venv/.installed-${1:-base}"
if [ ! -f "$stamp" ] || [ "$root/setup.py" -nt "$stamp" ]; then
  echo "Installing kidneyseg and what it needs (about a minute)"
  python -m pip install --quiet --disable-pip-version-check -e "$root${1:+[$1]}" || exit 2
  touch "$stamp"
fi
