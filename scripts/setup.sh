#!/usr/bin/env bash
# Prepare this checkout: system libraries and the virtual environment .venv.
#
#   scripts/setup.sh base   what the program needs
#   scripts/setup.sh test   that, the test and lint tools, and a virtual screen
#   scripts/setup.sh train  .venv-train, an environment of its own with torch
#
# The Makefile calls it before every target. When nothing is missing it says
# nothing and costs a fraction of a second: a stamp in .venv holds the checksum
# of everything an installation depends on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted="${1:-base}"
venv=".venv"
case "$wanted" in
    base) target="." ;;
    test) target=".[test]" ;;
    train) target=".[train]"; venv=".venv-train" ;;
    *) echo "usage: scripts/setup.sh [base|test|train]" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# --- system packages ---------------------------------------------------------

# Run apt-get as root, without ever asking for a password. Returns 1 when this
# user or this system cannot.
apt_install() {
    command -v apt-get >/dev/null || return 1
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
    say "installing system packages: $*"
    local log
    log="$(mktemp)"
    # The package lists may be too old or absent: only then are they fetched.
    if "${apt[@]}" install -y --no-install-recommends "$@" >"$log" 2>&1 \
        || { "${apt[@]}" update >>"$log" 2>&1; "${apt[@]}" install -y --no-install-recommends "$@" >>"$log" 2>&1; }; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    return 1
}

# The line a person has to type when apt_install could not.
install_line() {
    if command -v apt-get >/dev/null; then
        echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    else
        echo "install with your system's package manager what Debian calls: $*"
    fi
}

# Print the Debian packages of those "library package" lines on stdin whose
# library the dynamic linker does not know.
missing_libraries() {
    local known library package
    known="$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null)" || return 0  # musl, Nix: cannot tell
    while read -r library package; do
        [[ "$known" == *"$library "* ]] || echo "$package"
    done
}

# --- Python ------------------------------------------------------------------

is_new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

# The first Python that can make a virtual environment, or else the first that is
# new enough. Each candidate is run, not only looked up: version managers put
# stubs on PATH for versions that are not active.
find_python() {
    local candidate first=""
    for candidate in python3.13 python3.12 python3.11 python3; do
        "$candidate" -c "$is_new_enough" >/dev/null 2>&1 || continue
        first="${first:-$candidate}"
        if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            first="$candidate"
            break
        fi
    done
    [ -n "$first" ] || fail "no Python 3.11 or newer found (tried python3.13, python3.12, python3.11, python3). Install one and run this again."
    echo "$first"
}

# --- what is done already ----------------------------------------------------

here="$(pwd -P)"
key="$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)"
stamped() { [ "$(cat "$venv/.her2scope-$1" 2>/dev/null)" = "$key" ]; }
# An environment's scripts hold absolute paths, so a moved or copied checkout
# needs a new one. One that was made by hand, with no stamp, is taken as it is; one
# whose making was interrupted has no pip.
usable() {
    $venv/bin/python -c "import importlib.util as i; i.find_spec('pip') or exit(1); $is_new_enough" 2>/dev/null &&
        [ "$(cat $venv/.her2scope-home 2>/dev/null || echo "$here")" = "$here" ]
}
done_already() { usable && { stamped test || { [ "$wanted" = base ] && stamped base; }; }; }

python=""
usable || python="$(find_python)"

if [ "$(uname -s)" = Linux ]; then
    # Without these `import cv2` and `import PyQt6` fail, even with no window.
    needed="$(missing_libraries <<'LIBRARIES'
libGL.so.1 libgl1
libgthread-2.0.so.0 libglib2.0-0
libEGL.so.1 libegl1
libxkbcommon.so.0 libxkbcommon0
libdbus-1.so.3 libdbus-1-3
libfontconfig.so.1 libfontconfig1
LIBRARIES
    )"
    # Debian splits venv and ensurepip off into a package of their own.
    if [ -n "$python" ] && ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        needed="$needed $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    # A window on X needs these too; Qt's wheel brings the rest.
    window="$(missing_libraries <<'LIBRARIES'
libxcb-cursor.so.0 libxcb-cursor0
libxkbcommon-x11.so.0 libxkbcommon-x11-0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-shape.so.0 libxcb-shape0
LIBRARIES
    )"
    if [ "$wanted" = test ]; then
        command -v xvfb-run >/dev/null && command -v Xvfb >/dev/null || window="$window xvfb"
        command -v xauth >/dev/null || window="$window xauth"
    fi
    # Word splitting is meant: these are lists of package names.
    # shellcheck disable=SC2086,SC2116
    if [ -n "${needed// /}${window// /}" ] && ! apt_install $needed $window; then
        say "missing on this system: $(echo $needed $window). To install:"
        say "  $(install_line $needed $window)"
        [ -z "$needed" ] || fail "nothing works without: $(echo $needed)"
        say "going on without; what needs a window on X is left out"
    fi
fi

# --- the virtual environment -------------------------------------------------

done_already && exit 0

# Two terminals may start at once; the second waits and then finds all done.
if command -v flock >/dev/null; then
    mkdir -p $venv
    exec 9>$venv/.her2scope-lock
    flock 9
    done_already && exit 0
fi

if ! usable; then
    say "making $venv with $("$python" --version)"
    # Not --clear: that would remove the lock too.
    find $venv -mindepth 1 -maxdepth 1 ! -name .her2scope-lock -exec rm -rf {} + 2>/dev/null || true
    "$python" -m venv $venv
fi
printf '%s' "$here" >$venv/.her2scope-home

say "installing Python packages into $venv (several hundred MB the first time)"
# -qq: keep errors, leave out progress and warnings about the machine's own pip settings.
pip=($venv/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt)
# The build backend comes first, from the same constraints, so that pip need not
# fetch an unpinned one into an isolated environment.
"${pip[@]}" hatchling
"${pip[@]}" --no-build-isolation -e "$target"
printf '%s' "$key" >"$venv/.her2scope-$wanted"
say "ready"
