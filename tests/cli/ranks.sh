#!/bin/sh
# Several processes train, sample and judge together, by mpirun and by the program itself: what one does, in as many parts, bit
# for bit; what ends one ends all, with one sentence. $2: a library that, preloaded, is a driver that fails.
. "$(dirname "$0")/lib.sh"
case $2 in /*) faults=$2 ;; *) faults=$OLDPWD/$2 ;; esac

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
command -v mpirun >/dev/null || exit 77
case $(mpirun --version) in
*"Open MPI"*) mpi="Open MPI" other=PMI_SIZE killed="flowcl: a rank was ended by signal 9" ;;
*) mpi=MPICH other=OMPI_COMM_WORLD_SIZE killed="flowcl: a rank was ended by a signal" ;; # its status does not say which
esac

# ranks STATUS N ARGUMENTS...: as expect, by so many processes that share a device.
ranks() {
    wanted=$1
    count=$2
    shift 2
    mpirun -n "$count" "$flowcl" "$@" --device 0:0 >out 2>err </dev/null
    got=$?
    [ $got -eq "$wanted" ] || fail "$count ranks of flowcl $*: status $got, not $wanted"
}
# same A B: two runs' last checkpoints hold the same numbers, and their metrics the same losses, to the last bit.
same() {
    python3 - "$1" "$2" <<'END' || fail "$1 and $2 differ"
import glob, json, struct, sys
def state(run):
    with open(max(glob.glob(run + "/checkpoint-*")), "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        content = file.read()
    tensors = {n: content[slice(*t["data_offsets"])] for n, t in header.items() if n != "__metadata__"}
    rows = [json.loads(line) for line in open(run + "/metrics.jsonl")]
    return tensors, [(row["step"], row["loss"], row["gradient_norm"]) for row in rows]
a, b = map(state, sys.argv[1:])
assert len(a[0]) > 10 and a[1], "no state"
sys.exit(a != b)
END
}
# near A B BOUND KEY ROWS: a number of the runs' first rows of metrics.
near() {
    python3 - "$@" <<'END' || fail "$4 of $1 and $2 is not within $3"
import json, sys
a, b = ([row[sys.argv[4]] for row in map(json.loads, open(run + "/metrics.jsonl")) if sys.argv[4] in row] for run in sys.argv[1:3])
count = int(sys.argv[5])
assert len(a) >= count and len(b) >= count
sys.exit(any(abs(x - y) > float(sys.argv[3]) * abs(x) for x, y in zip(a[:count], b[:count])))
END
}
small="--width 32 --depth 2 --batch 60 --samples-every off --metrics-every 5 --seed 7"

# two ranks are one process with two parts, with dropout's, a coupling's and a held-out part's random numbers, too
expect 0 train moons --out one $small --steps 20 --accumulate 2 --held-out 100 --held-out-every 10
ranks 0 2 train moons --out two $small --steps 20 --held-out 100 --held-out-every 10
same one two
says "ranks   0 on" "30 of the 60 samples" "        1 on"
[ "$(grep -c '^step ' err)" -eq 10 ] || fail "another than the first rank tells of its way"
near one two 1e-6 held_out_loss 1
expect 0 train moons --out listed $small --steps 20 --held-out 100 --held-out-every 10 --device 0:0,0:0 # without mpirun
same one listed
for coupling in ot sinkhorn; do
    expect 0 train moons --out one-$coupling $small --steps 10 --accumulate 2 --coupling $coupling --coupling-batch 120
    ranks 0 2 train moons --out two-$coupling $small --steps 10 --coupling $coupling --coupling-batch 120 --coupling-across-ranks
    same one-$coupling two-$coupling
    ranks 0 2 train moons --out own-$coupling $small --steps 10 --coupling $coupling
done
ranks 2 2 train moons --out never $small --coupling ot --coupling-batch 120
says "flowcl: rank 0: a coupling-batch of 120" "coupling-across-ranks"

# of three, of unlike shares: the gradient is the same to rounding, and two runs of them to the bit
ranks 0 3 train moons --out three $small --steps 5 --share 3:1:1 --metrics-every 1
says "36 of the 60 samples" "12 of the 60 samples"
ranks 0 3 train moons --out three-again $small --steps 5 --share 3:1:1 --metrics-every 1
same three three-again
expect 0 train moons --out alone $small --steps 5 --metrics-every 1
near alone three 1e-6 gradient_norm 1
near alone three 1e-6 loss 5

# a gradient of several buckets, which each rank sums as they come or at the end: no bit is another, whoever does which, in how
# many parts, and whatever the order in which a device's plan completes them
large="--width 1024 --depth 3 --batch 12 --steps 3 --samples-every off --metrics-every 1 --seed 7 --keep 1"
# unlike A B: two ranks that have options of their own, the second one another form of kernels.
unlike() {
    mpirun -n 1 "$flowcl" train moons $1 --device 0:0 : -n 1 env $3 "$flowcl" train moons $2 --device 0:0 >out 2>err || fail "ranks with $1"
}
expect 0 train moons --out whole $large --accumulate 2
unlike "--out buckets $large --buckets yes" "--out buckets $large --buckets no" FLOWCL_VECTOR=1
same whole buckets
for buckets in no yes; do
    options="--out unlike-$buckets $large --accumulate 2 --share equal --buckets $buckets"
    unlike "$options" "$options" FLOWCL_ROW_GROUP=64
done
same unlike-no unlike-yes
rm -rf whole buckets unlike-no unlike-yes
refused 1 "buckets yes has no use for a process alone" train moons --out never --buckets yes
refused 2 "buckets" train moons --out never --buckets some

# data that come from the host, in rows of each rank; resumed by another number of ranks
ranks 0 2 train moons --out streamed $small --steps 20 --held-out 100 --held-out-every 10 --stream-data
same one streamed
ranks 0 3 train --resume --out two --steps 30 --buckets yes
expect 0 train --resume --out one --steps 30 --accumulate 3
same one two

# the curve of a default training
expect 0 train moons --out curve --steps 200 --samples-every off
ranks 0 2 train moons --out curves --steps 200 --samples-every off
near curve curves 1e-3 loss 4

# a rank computes on the cores that it is bound to, and says where others are idle
if [ "$(nproc)" -gt 1 ] && [ "$(nproc)" = "$(getconf _NPROCESSORS_ONLN)" ]; then
    taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')" mpirun -n 2 "$flowcl" train moons --out bound $small --steps 2 --device 0:0 >out 2>err || fail "bound ranks"
    says "1 of $(nproc) units" "are bound to 1 of its $(nproc) cores: mpirun --bind-to none"
fi

# what it costs: two ranks' sums and steps
expect 0 bench --ranks 2 --device 0:0 --quick --model mlp-2-64 --batch 64 --repeats 5 --json
python3 - <<'END' || fail "bench --ranks"
import json
told = json.load(open("out"))
step = told["step"]
assert told["ranks"] == 2 and [row["bytes"] for row in told["sums"]] == [1 << 10 + 2 * i for i in range(5)]
assert all(row["seconds"]["median"] > 0 for row in told["sums"]) and told["meeting"]["p10"] > 0
assert step["batch"] == 64 and step["gradient_bytes"] == 4 * (3 * 64 + 64 + 2 * 64 * 65 + 2 * 65)
assert set(step["seconds"]) == {"one_rank", "all", "all_with_buckets", "own_rows", "sum"}
assert step["of_one_rank"]["median"] > 0 and step["buckets_of_all"]["median"] > 0
END
refused 2 "--batch is of a step of several --ranks" bench --batch 64
bench="bench --ranks 2 --device 0:0 --quick --batch 64 --repeats 5" # sums of other lengths: nobody waits, or reads what is not there
mpirun -n 1 "$flowcl" $bench --model mlp-2-64 : -n 1 "$flowcl" $bench --model mlp-2-512 >out 2>err && fail "ranks sum unlike gradients"
says "flowcl: rank 0: the ranks do not the same"
refused 2 "--ranks 3, and 2 devices are named" bench --ranks 3 --device 0:0,0:0
ranks 2 2 bench --ranks 3
says "flowcl: rank 0: --ranks 3, and the launcher started 2"

# what is wrong is told once, by the rank whose it is
once() {
    [ "$(grep -c '^flowcl: ' err)" -eq 1 ] || fail "not one sentence"
    says "$1"
}
ranks 2 2 train moons --out never $small --share 1:1:1
once 'flowcl: rank 0: share "1:1:1": expected 2 positive numbers, one a rank, with colons between, or equal, or measured'
ranks 2 2 train moons --out never $small --batch 1
once "flowcl: rank 1: of a batch of 1"
ranks 1 2 train moons --out one $small
once "flowcl: rank 0: one holds a run already"
mpirun -n 1 "$flowcl" train moons --out never $small --device 0:0 : \
    -n 1 "$flowcl" train moons --out never $small --lr 0.1 --device 0:0 >out 2>err && fail "ranks of unlike options train"
once "flowcl: rank 0: rank 1 has other options than rank 0"
mpirun -n 1 "$flowcl" train moons --out never $small --device 0:0 --share 3:1 : \
    -n 1 "$flowcl" train moons --out never $small --device 0:0 >out 2>err && fail "ranks of unlike shares train"
once "flowcl: rank 0: rank 1 has other shares"
mpirun -n 1 "$flowcl" train moons --out never $small --device 0:0 : \
    -n 1 "$flowcl" train moons --out never2 $small --device 0:0 >out 2>err && fail "ranks of unlike folders train"
once "flowcl: rank 0: rank 1 has other folders of a run (--out)"
[ ! -e never ] || fail "a run that cannot begin left a folder"

# started by the launcher of another MPI, each would be alone
(export $other=2 && refused 1 "flowcl: $other says that this process is one of 2, and $mpi, the MPI of this build" \
    train moons --out never $small) || exit 1

# unlike devices share a batch by what was measured, which is told, and told again repeats the run bit for bit; they round in
# their own ways: all take the first one's weights from time to time
unlike() { # OUT ARGUMENTS...
    mpirun -n 1 "$flowcl" train moons --out "$@" --device 0:0 : \
        -n 1 env FLOWCL_ROW_GROUP=64 "$flowcl" train moons --out "$@" --device 0:0 >out 2>err </dev/null || fail "unlike devices: $*"
}
# shared ROWS: of so many each rank has what the share says that was told, in $share.
shared() {
    share=$(sed -n 's/^share   \(.*\), as measured; --share \1 repeats it$/\1/p' err)
    [ -n "$share" ] || fail "no share is told"
    python3 - "$1" "$share" $(sed -n "s/.* on .*: \([0-9]*\) of the $1 samples, .*/\1/p" err) <<'END' || fail "rows do not follow the share $share"
import sys
rows, share, own = int(sys.argv[1]), [float(x) for x in sys.argv[2].split(":")], [int(x) for x in sys.argv[3:]]
ends = [int(rows * sum(share[:i + 1]) / sum(share) + 0.5) for i in range(len(share))]
assert len(own) == len(share) > 1 and min(own) > 0
assert own == [end - begin for begin, end in zip([0] + ends, ends)]
END
}
unlike unlike $small --steps 120
shared 60
unlike again $small --steps 120 --share "$share"
grep -q "as measured" err && fail "a share that is given is measured"
same unlike again
expect 0 train moons --out like $small --steps 120
near like unlike 1e-3 loss 24
unlike equal $small --steps 1 --share equal
[ "$(grep -c ": 30 of the 60 samples" err)" -eq 2 ] || fail "equal shares are not equal"
unlike few $small --steps 1 --batch 2
[ "$(grep -c ": 1 of the 2 samples" err)" -eq 2 ] || fail "a measured share leaves a rank without a sample"
# those of one kind on demand; what is measured is no part of the run, nor of its profile
ranks 0 3 train moons --out asked $small --steps 20 --held-out 100 --share measured --profile
shared 60
awk '$1 == "adamw_update" { n = $2 } END { exit n != 20 }' err || fail "the profile has other steps than those of the run"
ranks 0 3 train moons --out told $small --steps 20 --held-out 100 --share "$share"
same asked told
[ "$(getconf _NPROCESSORS_ONLN)" -lt 2 ] || { expect 0 train moons --out half $small --steps 1 --device 0:0,0:0/2.0 && shared 60; }
# where a step is not finite all look for what broke first, and tell the rank whose rows it is among, if it is not on all
ranks 1 2 train moons --out broken $small --steps 200 --lr 1e6 --clip off
once "flowcl: rank 0: "
says "; what broke first"
python3 - <<'END'
import random
with open("far.csv", "w") as file:
    for i in range(60):
        file.write("%g,%g\n" % ((1e7, 1e7) if i == 37 else (random.gauss(0, 1), random.gauss(0, 1))))
END
far="far.csv --normalise off --weight sqrt(1-l/1e10) $small"
ranks 1 2 train $far --out broken --steps 10 --share 1:59
once "flowcl: rank 0: the loss became "
says " at step 1 " "what broke first, on rank 1, is sqrt of shape (59, 1): " ", in 1 of the 59 rows " " is sample 37 of far.csv"
ranks 1 2 train $far --out broken --steps 60 --share 59:1 --on-nan skip --metrics-every 7
says "warning the loss or the gradient of 7 of the steps up to 7 is not finite"
once "flowcl: rank 0: the loss became "
says ", the last of 50 in a row " "what broke first, on rank 0, is sqrt of shape (59, 1): " " is sample 37 of far.csv"
refused 1 "share 2:1 has no use for a process alone" train moons --out never --share 2:1

# ranks that share a device are told what they need of its memory together; what is said to fit does, and a sample more does not,
# also where a smaller batch would leave a rank without a sample
export FLOWCL_MEMORY=2
large="--data-count 1000 --width 128 --depth 2 --steps 1 --samples-every off"
expect 0 train moons --out alone-fits $large --batch 750
ranks 1 2 train moons --out fits $large --batch 750 --share 300:1
once "flowcl: rank 0: 2 ranks share this device: together they need "
says " has 2.0 MiB: the largest batch that fits is --batch "
batch=$(sed -n 's/.*--batch \([0-9]*\).*/\1/p' err)
parts=$(sed -n 's/.*--accumulate \([0-9]*\).*/\1/p' err)
ranks 1 2 train moons --out fits $large --batch 750 --share "$((2 * (batch - 8))):1"
once ": the largest batch that fits is --batch "
ranks 1 2 train moons --out fits $large --batch "$((batch + 1))" --share 300:1
once "flowcl: rank 0: 2 ranks share this device: "
ranks 0 2 train moons --out fits $large --batch "$batch" --share 300:1
ranks 0 2 train moons --out fits-in-parts $large --batch 750 --accumulate "$parts" --share 300:1
unset FLOWCL_MEMORY

# samples, densities and what is measured of them are one process's bit for bit, whatever draws the random numbers, also where
# there are fewer samples than ranks; one writes, and tells
python3 - <<'END'
import random
with open("points.csv", "w") as file:
    file.write("x,y,kind\n")
    for i in range(200):
        file.write("%g,%g,%s\n" % (random.gauss(i % 2, 0.5), random.gauss(0, 1), "ab"[i % 2]))
END
expect 0 train points.csv --out points --labels --label-column kind --label-drop 0.2 --width 16 --depth 2 --batch 40 --steps 20 \
    --samples-every off --seed 3
# as_alone N COMMAND ARGUMENTS...: the file --out is, to the last bit, what one process writes.
as_alone() {
    count=$1
    shift
    expect 0 "$@" --out alone.csv
    ranks 0 "$count" "$@" --out shared.csv
    [ "$(grep -c "^written to" out)" -eq 1 ] || fail "$* by $count ranks: not one report"
    cmp -s alone.csv shared.csv || fail "$* by $count ranks: another result than one process's"
}
as_alone 2 sample points --n 31 --guidance 2 --batch 8 --steps 5
as_alone 3 sample points --n 2 --solver heun2 --steps 4 --logp --divergence hutchinson --label a
as_alone 3 sample points --n 31 --solver euler-maruyama --steps 5 --label a,b
as_alone 2 sample points --n 31 --decode points.csv --from-time 0.5 --steps 4
as_alone 3 sample points --encode points.csv --n 40 --solver adaptive-heun
as_alone 3 likelihood points points.csv --n 40 --divergence hutchinson --solver heun2 --steps 4 --batch 5
says "/40 " # by the 14 that are the first one's
echo "1,0" >mask.csv
masked="sample points --n 31 --decode points.csv --mask mask.csv --times 0,0.5,1 --solver euler-maruyama --steps 4"
expect 0 $masked --out alone.npy
expect 0 $masked --out shared.npy --device 0:0,0:0 # without mpirun
cmp -s alone.npy shared.npy || fail "two named devices sample something else than one"
judged="eval points points.csv --n 31 --steps 5 --metrics w2,path-energy,npe,nll,nfe --json"
expect 0 $judged --chart alone.png
grep -v '"seconds"' out >alone.json
ranks 0 2 $judged --chart shared.png
grep -v '"seconds"' out | cmp -s alone.json - || fail "two ranks judge a model otherwise than one"
cmp -s alone.png shared.png || fail "two ranks draw another chart than one"
ranks 1 3 sample points --n 31 --solver dopri5 --max-steps 1 --out shared.csv
once "flowcl: rank 0: 31 of 31 samples are unfinished"
ranks 1 2 sample points --n 4 --out nowhere/shared.csv
once "flowcl: rank 0: cannot write nowhere/shared.csv"
mpirun -n 1 "$flowcl" sample points --n 31 --out never.csv --device 0:0 : \
    -n 1 "$flowcl" sample points --n 31 --seed 5 --out never.csv --device 0:0 >out 2>err && fail "ranks of unlike options sample"
once "flowcl: rank 0: rank 1 has other options"
mpirun -n 1 "$flowcl" likelihood points points.csv --n 31 --out never.csv --device 0:0 : \
    -n 1 "$flowcl" likelihood points points.csv --n 30 --out never.csv --device 0:0 >out 2>err && fail "ranks judge unlike data"
once "flowcl: rank 0: rank 1 has other samples"
[ ! -e never.csv ] || fail "ranks that do not the same wrote samples"

# one that is stopped stops all, and what is done is saved; one that is killed ends all, and the checkpoint before stays
# begin DEVICES COMMAND...: what trains until it is stopped; $last is its last rank. The whole path tells it from another test's.
begin() {
    devices=$1
    shift
    rm -rf long
    "$@" train moons --out "$folder/long" $small --steps 1000000 --checkpoint-every 200 --device "$devices" >out 2>err </dev/null &
    process=$!
    # A second checkpoint or a later one: no single one stays, and a loaded machine may look too late for it.
    while ! ls long/checkpoint-*.safetensors 2>/dev/null | grep -qv 0000000200; do
        kill -0 $process || fail "the ranks ended on their own"
        sleep 0.1
    done
    last=$(pgrep -n -f "^$flowcl train moons --out $folder/long")
}
begin 0:0 mpirun -n 2 "$flowcl"
kill -TERM "$last"
wait $process || fail "a rank that is stopped fails"
process=
says "stopped at step"
begin 0:0,0:0 "$flowcl" # without mpirun
kill -TERM $process
wait $process || fail "the program that started ranks, and is stopped, fails"
process=
says "stopped at step"
begin 0:0,0:0 "$flowcl"
kill -KILL "$last"
wait $process && fail "a rank that is killed is not told"
process=
once "$killed"
begin 0:0 mpirun -n 2 "$flowcl"
kill -KILL "$last"
wait $process && fail "a rank that is killed is not told"
process=
[ -e "$(ls long/checkpoint-*.safetensors | tail -n 1)" ] || fail "no checkpoint is left"
expect 0 info long
expect 0 train --resume --out long --steps "$(($(ls long/checkpoint-* | tail -n 1 | tr -dc 0-9 | sed 's/^0*//') + 5))"

# a device that fails, at one call or another of a step, before and after the sum: one sentence, of the rank whose it is
LD_PRELOAD=$faults "$flowcl" --version >out 2>err && [ ! -s err ] || exit 0 # a sanitizer wants to be first
failing() { # VARIABLE=VALUE STATUS OPTIONS...
    rm -rf weak
    variable=$1
    wanted=$2
    shift 2
    set -- train moons --out weak "$@" --device 0:0
    mpirun -n 1 "$flowcl" "$@" : -n 1 env LD_PRELOAD="$faults" "$variable" "$flowcl" "$@" >out 2>err </dev/null
    got=$?
    [ $got -eq "$wanted" ] || fail "$variable: status $got, not $wanted"
}
# fail_at "CALL..." OPTIONS...: at each of the calls, which are counted from four fifths of the way.
fail_at() {
    places=$1
    shift
    failing FAULTS_COUNT="$folder/calls" 0 "$@"
    calls=$(cat calls)
    for at in $places; do
        failing FAULTS_AT=$((calls * 8 / 10 + at)) 1 "$@"
        once "flowcl: rank 1: "
        says "CL_"
        expect 0 info weak
    done
}
failing FAULTS_AT=1000000 0 $small --steps 200 --checkpoint-every 5
# of a step, which has about so many calls
fail_at "0 5 11 16 22 27 33 38" $small --steps 200 --checkpoint-every 5
fail_at "0 13 31 49 67 85" $large --steps 10 --checkpoint-every 2 --buckets yes
exit 0
