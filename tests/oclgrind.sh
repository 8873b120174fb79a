#!/bin/sh
# Runs a program under Oclgrind, and fails where Oclgrind found a race or a bad access: its own exit status
# tells nothing of that.
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
oclgrind --log "$log" --data-races "$@" || exit 1
if [ -s "$log" ]; then
    cat "$log"
    exit 1
fi
