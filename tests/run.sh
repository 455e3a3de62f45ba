#!/usr/bin/env bash
# Everything there is to check, from a fresh clone: bash tests/run.sh [arguments for pytest]
# With CI=true whatever this machine lacks is a failure; otherwise it is skipped with a printed reason.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=.venv-test
if [ ! -x "$environment/bin/python" ]; then
  "${PYTHON:-python3}" -m venv "$environment"
fi
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt -r tests/requirements.txt

if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser journeys…"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  else
    echo "Chromium is missing, and only root can install it here: the browser journeys need it (Debian: apt-get install chromium)."
  fi
fi
if command -v npm >/dev/null; then
  (cd tests/servers && npm ci --silent --no-audit --no-fund --ignore-scripts)
else
  echo "npm is missing: the tests against aimock need it (Debian: apt-get install npm)."
fi

"$environment/bin/ruff" check .
"$environment/bin/ruff" format --check .
"$environment/bin/mypy"
if [ $# -gt 0 ]; then
  exec "$environment/bin/python" -m pytest "$@"
fi
# Journeys in a browser wait more than they work, so everything else is tried meanwhile, and then the last of the
# journeys beside the others; what that says comes after them.
late='tests/ui/test_[p-z]*.py'
said=$(mktemp)
(
  first=0 second=0
  "$environment/bin/python" -m pytest -m "not browser" || first=$?
  # shellcheck disable=SC2086 # a pattern
  "$environment/bin/python" -m pytest -m browser $late || second=$?
  exit $((first > second ? first : second))
) >"$said" 2>&1 &
others=$!
trap 'kill $others 2>/dev/null || true; rm -f "$said"' EXIT
journeys=0 rest=0
"$environment/bin/python" -m pytest -m browser --ignore-glob="$late" || journeys=$?
wait $others || rest=$?
cat "$said"
exit $((journeys > rest ? journeys : rest))
