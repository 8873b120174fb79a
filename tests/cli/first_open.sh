#!/bin/sh
# What the first open of a device compiles: on a GPU no form for CPUs, and nothing that the self-test does not run. $2: a
# library that, preloaded, tells the kernels that are made.
. "$(dirname "$0")/lib.sh"
case $2 in /*) programs=$2 ;; *) programs=$OLDPWD/$2 ;; esac
LD_PRELOAD=$programs "$flowcl" --version >out 2>err && [ ! -s err ] || exit 0 # a sanitizer wants to be first

# opened NAME VARIABLES...: what a first open compiles is in the folder NAME, and its kernels in NAME.made.
opened() {
    name=$1
    shift
    env "$@" XDG_CACHE_HOME="$folder/$name-cache" FLOWCL_DUMP="$folder/$name" KERNELS="$folder/$name.made" \
        LD_PRELOAD="$programs" "$flowcl" sample run --n 10 --out s.npy >out 2>err </dev/null || fail "$name: no samples"
}

expect 0 train moons --out run --steps 2 --width 8 --depth 1 --batch 64 --samples-every off
opened cpu FLOWCL_ROW_GROUP=1 FLOWCL_GEMM=tile
opened gpu FLOWCL_ROW_GROUP=64 FLOWCL_GEMM=clblast

cat >check.py <<'EOP'
import pathlib, re


def programs(folder):
    """The text of each program, and the kernels in it."""
    for path in pathlib.Path(folder).glob("*.cl"):
        if not path.is_symlink():
            text = path.read_text()
            yield text, set(re.findall(r"^kernel void (\w+)", text, re.M))


def own(folder):
    """Those of the library, not of the graph."""
    return [(text, names) for text, names in programs(folder) if not any(n.startswith("fused") for n in names)]


wide = {"selftest_math16", "sum_columns16", "scatter_rows16", "noise_uniform_wide", "noise_normal_wide",
        "noise_batch_index_wide", "transport_draw_wide"}
unused = {"transport_start", "transport_rows", "transport_update", "transport_finish", "transport_masses", "transport_solve",
          "transport_draw", "ode_advance", "cfm_loss", "cfm_loss_grad", "interpolate", "profile_mark"}
cpu, gpu = own("cpu"), own("gpu")
on_cpu, on_gpu = (set().union(*(names for text, names in of)) for of in (cpu, gpu))
made = set(pathlib.Path("gpu.made").read_text().split())
assert wide <= on_cpu, wide - on_cpu
assert not wide & on_gpu, wide & on_gpu
assert not unused & on_gpu, unused & on_gpu
assert {"selftest_math", "selftest_math4", "sum_rows", "noise_normal", "adamw_update"} <= on_gpu & made, on_gpu
assert "GEMM_NAME" not in on_gpu and not [text for text, names in programs("gpu") if "GEMM_PANELS" in text]
for text, names in programs("gpu"):
    assert not re.search(r"#define real float16|noise_words16|permute_index16|block_product", text), names
assert any(name.startswith("XgemmDirect") for name in made), made
assert not [name for name in made if "Batched" in name], made
sizes = [sum(len(text) for text, names in of if names != {"GEMM_NAME"}) for of in (cpu, gpu)]
assert 2 * sizes[1] < sizes[0], sizes
EOP
python3 check.py || fail "a first open compiles what it need not"
