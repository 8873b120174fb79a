#!/bin/sh
# Runs a program under Oclgrind, and fails where Oclgrind found a race or a bad access: its own exit status
# tells nothing of that. The log goes through a pipe, for each OpenCL context that the program makes would empty
# a file.
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/pipe" || exit 1
cat "$folder/pipe" >"$folder/log" &
exec 3>"$folder/pipe"
oclgrind --log "$folder/pipe" --data-races "$@" 3>&-
status=$?
exec 3>&-
wait
if [ -s "$folder/log" ]; then
    head -100 "$folder/log"
    exit 1
fi
exit $status
