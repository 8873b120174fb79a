# Read by every script here. $1 is the program; the script works in a folder of its own that is removed.
set -u
case $1 in /*) flowcl=$1 ;; *) flowcl=$PWD/$1 ;; esac
export PYTHONPATH="$(cd "$(dirname "$0")" && pwd)" PYTHONDONTWRITEBYTECODE=1 # png.py
folder=$(mktemp -d)
process= # that was started in the background
mounts=  # that were made
leave() {
    [ -z "$process" ] || kill -KILL "$process"
    for mount in $mounts; do umount "$mount"; done
    rm -rf "$folder"
}
trap leave EXIT
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

# find_python MODULES: $python is one that has them, or empty; $FCL_TEST_PYTHON is asked first.
find_python() {
    python=
    for candidate in ${FCL_TEST_PYTHON-} python3 /usr/bin/python3; do
        [ -n "$python" ] || ! $candidate -c "import $1" 2>none || python=$candidate
    done
}

# draw_seed: of what a script draws, $FCL_TEST_SEED or a fresh one, which is told.
draw_seed() {
    export FCL_TEST_SEED="${FCL_TEST_SEED-$(date +%s%N)}"
    echo "FCL_TEST_SEED=$FCL_TEST_SEED"
}

# has_charts: the build draws what needs cairo (meson's -Dcharts).
has_charts() {
    [ "${FCL_TEST_CHARTS-yes}" = yes ]
}

# narrow: what was printed fits a terminal of 80 columns.
unset COLUMNS
narrow() {
    awk 'length > 80 { print; wide = 1 } END { exit wide }' out >wide || fail "lines of more than 80 columns: $(cat wide)"
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

# begin OUT ARGUMENTS...: a training in the background, the number of which is in `process`; back once it is under way.
begin() {
    out=$1
    shift
    "$flowcl" train moons --out "$out" --steps 100000000 $small "$@" >began.out 2>began.err </dev/null &
    process=$!
    while [ ! -s "$out/metrics.jsonl" ] && kill -0 $process 2>/dev/null; do sleep 0.1; done
    kill -0 $process 2>/dev/null || { cat began.err >&2; fail "the training in $out ended"; }
}

# ended: waits for the background process; its status.
ended() {
    wait "$process"
    set -- $?
    process=
    return "$1"
}

# rows FILE STEPS...: metrics of these steps, whole lines of JSON, and nothing else.
rows() {
    python3 - "$@" <<'END' || fail "$1 is not as promised"
import json, sys
text = open(sys.argv[1]).read()
assert text.endswith("\n")
steps = [json.loads(line)["step"] for line in text.splitlines()]
assert steps == [int(s) for s in sys.argv[2:]], steps
END
}
