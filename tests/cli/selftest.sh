#!/bin/sh
# A device whose compiler makes something else of a kernel is refused, by the name of the family. $2: a library that,
# preloaded, is such a compiler.
. "$(dirname "$0")/lib.sh"
case $2 in /*) miscompiler=$2 ;; *) miscompiler=$OLDPWD/$2 ;; esac
LD_PRELOAD=$miscompiler "$flowcl" --version >out 2>err && [ ! -s err ] || exit 0 # a sanitizer wants to be first
export XDG_CACHE_HOME="$folder/cache" # no verdict is kept

# miscompiled FAMILY FROM TO: where FROM, which the kernels have, is compiled as if it were TO.
miscompiled() {
    MISCOMPILE_FROM=$2 MISCOMPILE_TO=$3 LD_PRELOAD=$miscompiler "$flowcl" sample run --n 10 --out s.npy >out 2>err </dev/null &&
        fail "a compiler that takes \"$2\" for \"$3\" was not found out"
    says "computes wrongly in the self-test's $1;"
}

expect 0 train moons --out run --steps 2 --width 8 --depth 1 --batch 64 --samples-every off
rm -r cache
for FLOWCL_ROW_GROUP in 1 64; do
    export FLOWCL_ROW_GROUP
    miscompiled math '0.0416674353f' '0.0418674353f'
    miscompiled adamw 'rest2 * x * x' 'rest2 * x'
    miscompiled sums 'i += get_local_size(0))
        sum += row[i];' 'i += get_local_size(0) + 1)
        sum += row[i];'
done
FLOWCL_ROW_GROUP=1 miscompiled noise 'rint(4.0f * v)' 'floor(4.0f * v)'
FLOWCL_ROW_GROUP=64 miscompiled noise '6.28318531f * v' '6.28308531f * v'
# Without any of that it is taken; a verdict on one form is none on the other.
for FLOWCL_ROW_GROUP in 1 64; do
    expect 0 sample run --n 10 --out s.npy
done
set -- cache/flowcl/selftest-*
[ $# -eq 2 ] || fail "there are not two verdicts: $*"
