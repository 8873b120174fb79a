#!/bin/sh
# A driver whose times of commands cannot be: told, and not added up. $2: a library that, preloaded, is such a driver.
. "$(dirname "$0")/lib.sh"
case $2 in /*) no_times=$2 ;; *) no_times=$OLDPWD/$2 ;; esac
LD_PRELOAD=$no_times "$flowcl" --version >out 2>err && [ ! -s err ] || exit 0 # a sanitizer wants to be first

small='--width 8 --depth 1 --batch 64 --samples-every off --profile'
for form in "FLOWCL_ROW_GROUP=1 FLOWCL_GEMM=tile" "FLOWCL_ROW_GROUP=64 FLOWCL_GEMM=clblast"; do
    env $form "$flowcl" train moons --out "told-$form" --steps 3 $small >out 2>err </dev/null || fail "no training"
    grep -q 'times that cannot be' err && fail "a true driver's times are doubted"
    grep -Eq '^distinct kernels generated: [1-9][0-9]*; building took [0-9.e-]+ s$' err || fail "what was built is not told"
    env $form LD_PRELOAD="$no_times" "$flowcl" train moons --out "none-$form" --steps 3 $small >out 2>err </dev/null ||
        fail "no training without times"
    says "times that cannot be"
    # Every launch is counted, none has a second.
    python3 - <<'EOP' || fail "the profile is not right"
import re
rows = re.findall(r"^(\S.*?) +(\d+) +(\d+\.\d{4}) +(\d+\.\d)%$", open("err").read(), re.M)
assert rows and all(float(seconds) == 0 for name, launches, seconds, share in rows), rows
left, = re.findall(r"of (\d+) launches", open("err").read())
assert int(left) == sum(int(launches) for name, launches, seconds, share in rows), (left, rows)
EOP
done
