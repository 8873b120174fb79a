#!/bin/sh
# A run that is left alone: its folder is its own, a terminal that closes saves it, closed streams are no files.
# Whoever runs this may ignore signals; here they begin as they are.
[ -n "${signals-}" ] || exec env --default-signal=HUP,INT,TERM signals=default sh "$0" "$@"
case $2 in /*) no_locks=$2 ;; *) no_locks=$PWD/$2 ;; esac
. "$(dirname "$0")/lib.sh"

small="--width 8 --depth 1 --batch 16 --metrics-every 10"

# --- a folder belongs to one run ---
begin locked --checkpoint-every 20
refused 1 "process $process trains into locked" train moons --out locked --steps 1 $small
refused 1 "process $process trains into locked" train moons --out locked --resume --steps 2 $small
while ! ls locked/checkpoint-* >/dev/null 2>&1; do sleep 0.1; done
refused 1 "process $process trains into locked" train moons --out locked --steps 1 $small
refused 1 "process $process trains into locked" train --out locked --resume
refused 1 "locked holds a run already" train --out locked
expect 0 sample locked --n 4 --out locked/mine.npy # who only reads, or writes beside, may
kill -KILL $process
ended 2>/dev/null
: >locked/checkpoint-0000000001.safetensors.4321-0.part
: >locked/loss.png.4321-3.part
: >locked/mine.csv.4321-0.part
step=$(ls locked/checkpoint-*.safetensors | tail -n 1 | tr -dc 0-9 | sed 's/^0*//')
expect 0 train --out locked --resume --steps $((step + 5))
[ "$(ls -A locked | grep -c '\.part$')" -eq 1 ] || fail "what a killed run left half written is not gone, or more is"
[ ! -e locked/.lock ] || fail "a run that ended left its lock"

# --- a file system without locks is told, and no hindrance ---
for error in ENOLCK ENOTSUP EINVAL ENOSYS; do
    number=$(python3 -c "import errno; print(errno.$error)")
    "$no_locks" "$number" "$flowcl" train moons --out lockless-$error --steps 10 $small >out 2>err </dev/null
    case $? in
    0) says "warning the file system of lockless-$error has no locks" "step 10/10" ;;
    77) echo "no filter of system calls can be set here: a file system without locks is not tried" >&2 ;;
    *) fail "a training ended without locks" ;;
    esac
    [ ! -e lockless-$error/.lock ] || fail "a file that locks nothing was left"
done

# --- signals ---
begin hangup
kill -HUP $process
kill -HUP $process # the terminal's, and the shell's
ended || fail "a training whose terminal closed is a failure"
grep -q "^saved hangup/checkpoint-" began.err || fail "a training whose terminal closed did not save"

POCL_CACHE_DIR=$folder/cold nohup "$flowcl" train moons --out nohup --steps 100000000 $small >nohup.log 2>&1 </dev/null &
process=$!
while [ ! -s nohup/metrics.jsonl ] && kill -0 $process 2>/dev/null; do sleep 0.1; done
kill -HUP $process
lines=$(wc -l <nohup/metrics.jsonl)
while [ "$(wc -l <nohup/metrics.jsonl)" -le $((lines + 3)) ] && kill -0 $process 2>/dev/null; do sleep 0.1; done
kill -0 $process 2>/dev/null || fail "nohup did not keep a training from SIGHUP"
kill -TERM $process
ended || fail "a stopped training is no failure"

# --- closed streams ---
"$flowcl" train moons --out closed --steps 40 $small <&- >&- 2>&- || fail "closed streams ended a training"
rows closed/metrics.jsonl 10 20 30 40
"$flowcl" train moons --out half-closed --steps 40 $small </dev/null >out 2>&- || fail "a closed stream ended a training"
rows half-closed/metrics.jsonl 10 20 30 40
"$flowcl" sample closed --n 10 --out closed.csv <&- >&- 2>&- || fail "closed streams ended sampling"
[ "$(wc -l <closed.csv)" -eq 10 ] || fail "something else was written into the samples"

exit 0
