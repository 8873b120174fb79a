#!/bin/sh
# The quick form of the table of drivers, what a report holds, and the comparison of losses, on PoCL; a driver that computes
# wrongly fails in both.
#     drivers.sh FLOWCL SOURCES BUILD MISCOMPILED
. "$(dirname "$0")/lib.sh"
tools=$2/tools build=$3
case $4 in /*) miscompiler=$4 ;; *) miscompiler=$OLDPWD/$4 ;; esac
unset FLOWCL_DEVICE

# --- the table: a row, its cells, and the curve held against itself ---
drivers() { python3 "$tools/drivers.py" --quick --build "$build" --only "Portable Computing" "$@" >out 2>err; }
drivers --folder first || fail "the table has a failure"
[ "$(grep -c '^| Portable Computing Language ' out)" -eq 1 ] || fail "PoCL has not one row"
grep -Eq '^\| driver +\| version +\| verify +\| tests +\| curve +\|$' out || fail "no head of a table"
grep -Eq '^\| Portable Computing Language \| [0-9.]+[^|]* \| 21 passed \(path\) +\| - +\| 20 steps +\|$' out || fail "other cells"
run=$(echo first/Portable*/run)
[ "$(wc -l <"$run/metrics.jsonl")" -eq 20 ] || fail "the training has not told 20 steps"
python3 "$tools/drivers.py" --quick --build "$build" --only "no such driver" >out 2>err && fail "no driver is no table"
grep -q "no device" err || fail "it does not say that there is none"

# --- losses: equal ones, one that is off, one that is none, and runs without a common step ---
compare() { python3 "$tools/compare_losses.py" "$@" >out 2>err; }
mkdir off none later
sed '7s/"loss":\([0-9]\)/"loss":1\1/' "$run/metrics.jsonl" >off/metrics.jsonl
sed '9s/"loss":[^,]*/"loss":null/' "$run/metrics.jsonl" >none/metrics.jsonl
sed 's/"step":/"step":10/' "$run/metrics.jsonl" >later/metrics.jsonl
compare "$run" "$run" || fail "equal losses differ"
printed '0.0e+00 at step 1, 20 steps in common'
compare "$run" off && fail "a loss that is off by 10 agrees"
printed 'off: 1.0e+01 at step 7, 20 steps in common'
compare "$run" off --bound 11 || fail "the bound is not heard"
compare "$run" "$run" none && fail "no number agrees with one"
printed 'none: inf at step 9' 'largest difference of two: inf'
compare "$run" later && fail "runs without a common step agree"

# --- a report: versions, devices, the table; no names of the machine or its user, and no paths ---
private=$(uname -n)
POCL_NOTHING="$folder/x, $private" HOME="$folder" BUILD="$build" "$tools/report.sh" --only "Portable Computing" >out 2>err || fail "the report fails"
printed "flowcl $("$flowcl" --version | sed 's/.* //')" '"platform": "Portable Computing Language"' '21 passed (path)'
grep -Eq '^POCL_NOTHING=\.\.\./x, (HOST|localhost)$' out || fail "what is private is not taken out"
grep -qF -e "$folder" -e "$2" out && fail "the report has a path"
[ "$private" = localhost ] || ! grep -qwF "$private" out || fail "the report has the machine's name"

# --- a compiler that makes something else of a kernel ---
LD_PRELOAD=$miscompiler "$flowcl" --version >out 2>err && [ ! -s err ] || exit 0 # a sanitizer wants to be first
export MISCOMPILE_FROM='rest2 * x * x' MISCOMPILE_TO='rest2 * x' LD_PRELOAD="$miscompiler"
drivers --folder wrong && fail "a driver that computes wrongly passes"
printed "failed: Portable Computing Language, verify" "computes wrongly in the self-test's adamw"
grep -Eq '^\| Portable Computing Language \| .* \| FAILED +\| - +\| FAILED +\|$' out || fail "the row has no failure"
HOME="$folder" BUILD="$build" "$tools/report.sh" --only "Portable Computing" >out 2>err || fail "the report of a failure fails"
printed "computes wrongly in the self-test's adamw" "drivers.py: status 1"
