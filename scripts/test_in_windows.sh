#!/usr/bin/env bash
# tests/gui in real windows, by two workers. Each has a virtual screen of its
# own: on one screen they would take the focus from each other.
#
#   scripts/test_in_windows.sh PYTHON [pytest's options]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="$1"
shift
screen="-screen 0 1920x1080x24"
# The outer call's screen is the first worker's, the inner one's the second's.
export PYTHON="$python"
exec xvfb-run -a -s "$screen" bash -c '
    export FIRST="popen//env:DISPLAY=$DISPLAY//env:XAUTHORITY=$XAUTHORITY"
    exec xvfb-run -a -s "$0" bash -c '\''
        QT_QPA_PLATFORM=xcb exec "$PYTHON" -m pytest tests/gui --dist worksteal \
            --tx "$FIRST" --tx "popen//env:DISPLAY=$DISPLAY//env:XAUTHORITY=$XAUTHORITY" "$@"
    '\'' bash "$@"
' "$screen" "$@"
