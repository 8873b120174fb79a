# Read by every script here. $1 is the program; the script works in a folder of its own that is removed.
set -u
case $1 in /*) flowcl=$1 ;; *) flowcl=$PWD/$1 ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

fail() {
    echo "$0: $*" >&2
    for stream in out err; do
        [ ! -s $stream ] || { echo "--- $stream" >&2; cat $stream >&2; }
    done
    exit 1
}

# expect STATUS ARGUMENTS...: runs flowcl; its output is left in the files out and err.
expect() {
    wanted=$1
    shift
    "$flowcl" "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$wanted" ] || fail "flowcl $*: status $got, not $wanted"
}

# says TEXT...: each is a part of standard error; printed TEXT...: of standard output.
says() {
    for text; do grep -qF -e "$text" err || fail "standard error lacks \"$text\""; done
}
printed() {
    for text; do grep -qF -e "$text" out || fail "standard output lacks \"$text\""; done
}

# refused STATUS TEXT ARGUMENTS...: a failure is one sentence on standard error that has TEXT, nothing else.
refused() {
    wanted=$1
    text=$2
    shift 2
    expect "$wanted" "$@"
    says "$text"
    [ ! -s out ] || fail "flowcl $*: printed something although it failed"
    head -n 1 err | grep -q '^flowcl: ' || fail "flowcl $*: the sentence does not open with \"flowcl: \""
    lines=$(wc -l <err)
    [ "$lines" -eq 1 ] || { [ "$wanted" -eq 2 ] && [ "$lines" -eq 2 ]; } || fail "flowcl $*: $lines lines"
}

# json EXPRESSION: standard output is one JSON object `o` for which the Python expression holds.
json() {
    python3 -c 'import json, math, sys
o = json.load(open("out"))
assert isinstance(o, dict)
assert eval(sys.argv[1]), sys.argv[1]' "$1" || fail "not so: $1"
}
