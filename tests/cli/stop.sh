#!/bin/sh
# Long work shows on a terminal how far it is, and ends at Ctrl-C with a sentence and without a file; without a terminal
# a training tells of each tenth of its way.
. "$(dirname "$0")/lib.sh"

expect 0 train moons --out run --steps 20 --width 16 --depth 2 --batch 64 --samples-every off
python3 -c '
import random
for _ in range(5000): print(random.gauss(0, 1), random.gauss(0, 1), sep=",")' >many.csv
# stopped SENTENCE ARGUMENTS...: is interrupted once a share of the work stands in the terminal's line.
stopped() {
    python3 - "$flowcl" "$@" <<'END' || fail "$*"
import os, pty, re, signal, subprocess, sys
program, sentence, *arguments = sys.argv[1:]
ours, theirs = pty.openpty()
child = subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
os.close(theirs)
said, asked = b"", False
while True:
    try:
        part = os.read(ours, 65536)
    except OSError:
        break
    if not part:
        break
    said += part
    if not asked and re.search(sentence.encode() + rb": \d+ %", said):
        asked = True
        child.send_signal(signal.SIGINT)
out = child.stdout.read()
assert child.wait() == 1 and asked and not out, (child.returncode, said[-500:], out)
assert re.search(rb"flowcl: stopped while [a-z' ]+\r\n$", said), said[-500:]
END
    [ "$(find . -name 'long*' -o -name '*.part' | wc -l)" -eq 0 ] || fail "$1: a file was left"
}
stopped sampling sample run --n 4000000 --steps 1000 --batch 1000 --out long.npy
stopped projecting eval many.csv many.csv --metrics sliced --projections 1000000 --chart long.png
stopped "making the data" train moons --data-count 100000000 --out long
stopped "summing over pairs" eval many.csv many.csv --metrics energy --floor-draws 1000 --chart long.png

expect 0 train moons --out lines --steps 40 --width 8 --depth 1 --batch 16 --samples-every off
[ "$(grep -c '^step .*/40 .*samples/s' err)" -eq 10 ] || fail "the training did not tell each tenth of its way"
exit 0
