#!/bin/sh
# What $FLOWCL_DUMP leaves of each program: source, options, log and binary, by the names of its kernels.
. "$(dirname "$0")/lib.sh"

small='--width 8 --depth 1 --batch 64 --samples-every off'
export FLOWCL_DUMP="$folder/a/dump"
expect 0 train moons --out run --steps 2 $small

# Every kernel has its four files, and they are of a whole program that has this kernel.
python3 - <<'END' || fail "the dump is not as promised"
import collections, pathlib, re
endings = collections.defaultdict(set)
for path in pathlib.Path("a/dump").iterdir():
    assert path.stat().st_size > 0, path
    endings[path.stem].add(path.suffix)
assert endings
for stem, found in endings.items():
    assert found == {".cl", ".options", ".log", ".bin"}, (stem, found)
    kernel, digits = re.fullmatch(r"(\w+)-([0-9a-f]{8})", stem).groups()
    text = pathlib.Path(f"a/dump/{stem}.cl").read_text()
    names = re.findall(r"^kernel void (\w+)", text, re.M)
    assert kernel in names or re.search(rf"^#define \w+ {kernel}$", text, re.M), stem
    assert text.startswith('#line 1 "cl/prelude.h"\n'), stem
    log = pathlib.Path(f"a/dump/{stem}.log").read_text()
    assert "Portable Computing Language" in log.splitlines()[0] and "driver" in log, log
    assert log.splitlines()[0].endswith("CL_SUCCESS"), log
    for other in names:
        assert f"#define {other} " in text or f"{other}-{digits}" in endings, (stem, other)
kernels = [stem.rpartition("-")[0] for stem in endings]
assert "adamw_update" in kernels and "fused_0" in kernels, kernels
END

# Another shape's kernels have the same names and stand beside them.
ls a/dump/fused_0-*.cl >before
expect 0 train moons --out wider --steps 2 $small --width 24
ls a/dump/fused_0-*.cl >after
[ "$(wc -l <after)" -gt "$(wc -l <before)" ] || fail "the kernels of another shape left no files"
for file in $(cat before); do [ -s "$file" ] || fail "$file was written over"; done

# In the form of GPUs neighbours take neighbouring elements, or aligned vectors where that is asked for.
for vector in 1 4; do
    export FLOWCL_DUMP="$folder/vector-$vector"
    FLOWCL_ROW_GROUP=64 FLOWCL_VECTOR=$vector expect 0 train moons --out run-$vector --steps 2 $small
    ! grep -q 'vload4(0, (p)' vector-$vector/fused_*.cl || fail "FLOWCL_VECTOR=$vector: vectors that may begin anywhere"
done
! grep -q 'global float4 \*)((p)' vector-1/fused_*.cl || fail "FLOWCL_VECTOR=1: vectors"
grep -q 'global float4 \*)((p)' vector-4/fused_*.cl || fail "FLOWCL_VECTOR=4: no vectors"

# A program that does not compile leaves all but the binary.
export FLOWCL_DUMP="$folder/broken" POCL_EXTRA_BUILD_FLAGS='-Dkernel=no_such_word'
"$flowcl" train moons --out broken-run --steps 2 $small >out 2>err </dev/null && fail "what cannot compile was trained"
unset POCL_EXTRA_BUILD_FLAGS
says "does not compile"
for ending in cl options log; do
    set -- broken/*."$ending"
    [ -s "$1" ] || fail "a failed build leaves no .$ending"
done
grep -q 'no_such_word' broken/*.log || fail "the log lacks what the compiler said"
grep -q 'CL_BUILD_PROGRAM_FAILURE' broken/*.log || fail "the log lacks the build's failure"
[ -z "$(ls broken | grep bin)" ] || fail "a failed build has a binary"

# A folder that cannot be made is refused before any work.
for place in /proc/no/such "$folder/run/config.yaml"; do
    FLOWCL_DUMP=$place refused 1 "FLOWCL_DUMP=$place is no folder" train moons --out nothing --steps 2 $small
done
