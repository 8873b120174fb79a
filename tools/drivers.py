#!/usr/bin/env python3
"""Runs a set of checks on every OpenCL driver of this machine, and prints a table, driver by check.

    python3 tools/drivers.py                    # all that `flowcl devices` finds, and Oclgrind where it is installed
    python3 tools/drivers.py --vendors DIR      # and those of the ICD files in DIR, say of tools/intel_cpu.sh
    python3 tools/drivers.py --quick            # a few seconds a device: what tools/report.sh sends

A device is a row, and so is each other form of it: rows of numbers shared by a group of work-items and CLBlast's products,
as GPUs have them, on processors; PoCL told to compile for an older processor (--older); Oclgrind in both forms, which fails
a check where it finds a race or an access out of bounds. llvmpipe is asked for unless RUSTICL_ENABLE says otherwise.

    verify    the self-test, which a device's first use runs, then `flowcl verify`; of slow devices its group `path`
    tests     programs of tests/, with tiny shapes (FCL_TEST_TINY=1); TESTS and SLOW_TESTS below are the list
    curve     the losses of 200 steps of `flowcl train moons`: the largest difference from the first row's

Slow devices are simulators, software renderers and the like ("emulated" in `flowcl devices --json`). A check that takes
longer than --limit is ended: the curve is compared as far as it came, which the table says, and of anything else "no end" is
told. Where PoCL says that it compiles for the same processor as ever, its checks are not repeated ("as found"). What was
printed by a check that failed follows the table, and its files lie in --folder. The status is 1 where one failed, or where
two curves are more than 1e-3 apart.
"""
import argparse
import concurrent.futures
import dataclasses
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import compare_losses

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = "math staging expression norm columns attention composite adamw solver learn gemm_gpu".split()
SLOW_TESTS = "math staging expression columns".split()
BOUND = 1e-3  # of two curves
POCL = "Portable Computing Language"
GPU_FORM = {"FLOWCL_ROW_GROUP": "64", "FLOWCL_GEMM": "clblast"}
CPU_FORM = {"FLOWCL_ROW_GROUP": "1", "FLOWCL_GEMM": "tile"}


@dataclasses.dataclass
class Row:
    device: dict  # as `flowcl devices --json` has it
    form: str  # "" as found
    environment: dict
    wrapper: list = dataclasses.field(default_factory=list)
    older: bool = False  # told to compile for another processor
    cells: dict = dataclasses.field(default_factory=dict)
    curve: dict = dataclasses.field(default_factory=dict)

    @property
    def name(self):
        return self.device["platform"] + (f", {self.form}" if self.form else "")


# --- running ---

def run(command, environment, limit, log):
    """The status, None where it was ended after `limit` seconds; what it printed is in the file `log`."""
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(limit)
        except BaseException as end:  # the limit, or Ctrl-C: nothing of it stays
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(end, subprocess.TimeoutExpired):
                raise
            return None


def outcome(status):
    return {None: "no end", 0: "passed"}.get(status, f"signal {-status}" if status and status < 0 else "FAILED")


class Checks:
    def __init__(self, options):
        self.options, self.flowcl = options, str(options.build / "tools/flowcl")
        self.failed = []  # (row, check, log)
        self.notes = []  # lines below the table
        self.steps = 20 if options.quick else 200

    def folder(self, row):
        place = row.environment.get("OCL_ICD_VENDORS", "")  # whose numbers of platforms are others
        parts = row.device["platform"], row.device["id"], row.form.partition(":")[0], *pathlib.Path(place).parts[-2:]
        name = " ".join(parts)
        folder = self.options.folder / re.sub(r"\W+", "-", name).strip("-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def call(self, row, check, command):
        """Runs it on the row's device, with caches of its own; the status and the log."""
        folder = self.folder(row)
        log = folder / f"{check}.log"
        own = {"XDG_CACHE_HOME": str(folder / "cache"), "FLOWCL_DEVICE": row.device["id"], "FCL_TEST_TINY": "1"}
        if row.wrapper:
            own["TMPDIR"] = str(folder)  # that of a wrapper that is ended
        if not self.options.quick:
            own["POCL_CACHE_DIR"] = str(folder / "pocl")
        status = run(row.wrapper + command, own | row.environment, self.options.limit, log)
        if status != 0:
            self.failed.append((row, check, log))
        return status, log

    def is_slow(self, row):
        return row.device["emulated"]

    def verify(self, row):
        shutil.rmtree(self.folder(row) / "cache", ignore_errors=True)  # so that the self-test runs
        only = ["--only", "path"] if self.options.quick or self.is_slow(row) else []
        status, log = self.call(row, "verify", [self.flowcl, "verify", *only])
        passed = re.search(r"(\d+) checks passed", log.read_text(encoding="utf-8", errors="replace"))
        return f"{passed[1]} passed" + (" (path)" if only else "") if status == 0 and passed else outcome(status)

    def tests(self, row):
        wanted = SLOW_TESTS if self.is_slow(row) else TESTS
        programs = {name: self.options.build / f"tests/test_{name}" for name in wanted}
        programs = {name: str(path) for name, path in programs.items() if path.exists()}
        if self.options.quick or not programs:
            return "-" if self.options.quick else "not built"
        bad = []
        for name, program in programs.items():
            status, _ = self.call(row, f"test-{name}", [program])
            bad += [f"{name}: {outcome(status)}"] if status != 0 else []
        return "; ".join([f"{len(programs) - len(bad)} of {len(programs)}", *bad])

    def train(self, row):
        """`flowcl train moons` by its defaults but for its end; each step's loss is told, and no picture drawn."""
        out = self.folder(row) / "run"
        shutil.rmtree(out, ignore_errors=True)
        told = ["--steps", str(self.steps), "--metrics-every", "1", "--samples-every", "off"]
        status, log = self.call(row, "curve", [self.flowcl, "train", "moons", "--out", str(out), *told])
        row.curve = compare_losses.losses(out) if (out / "metrics.jsonl").exists() else {}
        if status is None and row.curve:
            self.failed.remove((row, "curve", log))
            status = 0
        return "" if status == 0 else outcome(status)

    def curve(self, row, first):
        """The cell of a training that has run, held against the first row's."""
        if row is first or not row.curve:
            return f"{len(row.curve)} steps"
        apart, _, steps = compare_losses.farthest(first.curve, row.curve)
        if not apart <= BOUND:
            self.failed.append((row, "curve", self.folder(row) / "run/metrics.jsonl"))
        return f"{apart:.1e}" + ("" if steps == self.steps else f" ({steps} steps)")

    def all(self, row):
        """What needs no other row; a processor that PoCL does not obey is not checked again."""
        for check, cell in [("curve", self.train), ("verify", self.verify), ("tests", self.tests)]:
            sys.stderr.write(f"{row.name}: {check}\n")
            again = row.older and check != "curve" and not says_older(row)
            row.cells[check] = "as found" if again else cell(row)


# --- whether PoCL compiled for the processor that it was told ---

def widest_register(folder):
    """Bits of the widest vector register that compiled kernels in PoCL's cache name; 0 where that cannot be seen."""
    widest = 0
    for path in folder.rglob("*.so") if shutil.which("objdump") else []:
        code = subprocess.run(["objdump", "-d", str(path)], capture_output=True, text=True, check=False).stdout
        widest = max([widest] + [bits for name, bits in (("%xmm", 128), ("%ymm", 256), ("%zmm", 512)) if name in code])
    return widest


def says_older(row):
    return row.environment["POCL_LLVM_CPU_NAME"] in row.device["version"]


def obeyed(checks, row, rows):
    """By what the device says that it is, and by the code of its kernels beside that of PoCL as found."""
    compiled = widest_register(checks.folder(row) / "pocl")
    as_found = [each for each in rows if each.device["id"] == row.device["id"] and not each.form]
    usual = max((widest_register(checks.folder(each) / "pocl") for each in as_found), default=0)
    seen = "no kernel's code was seen"
    if compiled and usual:
        seen = f"kernels have {compiled}-bit registers, {usual} as found"
    word = "obeyed" if says_older(row) or 0 < compiled < usual else "NOT obeyed"
    checks.notes.append(f"{row.name}: {word}; the device is {row.device['version'].rsplit('-gnu-')[-1]}, {seen}")
    return word


# --- the rows ---

def devices(flowcl, environment, wrapper=()):
    command = [*wrapper, flowcl, "devices", "--json"]
    found = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    listed = json.loads(found.stdout)["devices"] if found.returncode == 0 else []
    return [device for device in listed if device["usable"]]


def is_processor(device):
    return device["type"] == "cpu" and device["vector_width"] > 1 and not device["emulated"]


def forms(device, environment, options):
    yield Row(device, "", environment)
    if device["platform"] == POCL and options.older and not options.quick:
        told = environment | {"POCL_LLVM_CPU_NAME": options.older}
        same = [d for d in devices(str(options.build / "tools/flowcl"), told) if d["id"] == device["id"]]
        yield Row(same[0] if same else device, f"POCL_LLVM_CPU_NAME={options.older}", told, older=True)
    if is_processor(device) and not options.quick:
        yield Row(device, "GPU form", environment | GPU_FORM)


def oclgrind_rows(flowcl, options):
    wrapper = [str(ROOT / "tests/oclgrind.sh")]
    if options.quick or not shutil.which("oclgrind"):
        return
    for device in devices(flowcl, {}, wrapper):
        if "Oclgrind" in device["platform"]:
            yield Row(device, "CPU form", CPU_FORM, wrapper)
            yield Row(device, "GPU form", GPU_FORM, wrapper)


def find_rows(options):
    flowcl = str(options.build / "tools/flowcl")
    places = [{}] + [{"OCL_ICD_VENDORS": str(folder.resolve())} for folder in options.vendors]
    rows = []
    for place in places:
        environment = {"RUSTICL_ENABLE": os.environ.get("RUSTICL_ENABLE", "llvmpipe")} | place
        for device in devices(flowcl, environment):
            rows += forms(device, environment, options)
    rows += oclgrind_rows(flowcl, options)
    return [row for row in rows if options.only.lower() in row.name.lower()]


# --- the table ---

def print_table(rows, checks):
    head = ["driver", "version", "verify", "tests", "curve"]
    lines = [[row.name, row.device["driver"] or "-", *(row.cells[check] for check in head[2:])] for row in rows]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    for line in [head, ["-" * width for width in widths], *lines]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
    print("".join(f"\n{note}" for note in checks.notes))
    curves = [row.curve for row in rows if row.curve]
    worst = max((compare_losses.farthest(a, b)[0] for a, b in itertools.combinations(curves, 2)), default=0)
    print(f"largest difference of two curves: {worst:.1e}, bound {BOUND:g}, {checks.steps} steps")
    return worst <= BOUND


def print_failures(checks):
    for row, check, log in checks.failed:
        print(f"\nfailed: {row.name}, {check}, {log}")
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]:
            print(f"    {line[:200]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="build folder (default build)")
    parser.add_argument("--folder", type=pathlib.Path, help="for logs, runs and kernels (default BUILD/drivers)")
    parser.add_argument("--vendors", type=pathlib.Path, action="append", default=[], metavar="DIR",
                        help="a folder of ICD files beside the system's; may be repeated")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it")
    parser.add_argument("--older", default="haswell", metavar="NAME",
                        help="the processor that PoCL is told to compile for; '' leaves the row out (default haswell)")
    parser.add_argument("--limit", type=float, default=600, metavar="S", help="seconds a check may take (default 600)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="rows at a time (default 1)")
    parser.add_argument("--quick", action="store_true", help="verify's group path and 20 steps, devices as found")
    options = parser.parse_args()
    options.folder = (options.folder or options.build / "drivers").resolve()
    options.build = options.build.resolve()
    checks, rows = Checks(options), find_rows(options)
    if not rows:
        sys.exit("no device: `flowcl devices` tells why")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(checks.all, rows))
    first = next((row for row in rows if row.curve), rows[0])
    for row in rows:
        row.cells["curve"] = row.cells["curve"] or checks.curve(row, first)
        if row.older:
            row.form += f": {obeyed(checks, row, rows)}"
    agree = print_table(rows, checks)
    print_failures(checks)
    return 0 if agree and not checks.failed else 1


if __name__ == "__main__":
    sys.exit(main())
