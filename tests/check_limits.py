"""Holds every test of a build to a time limit: one that a hang exceeds, and a slow or busy machine does not."""
import json
import pathlib
import sys

LEAST, MOST = 1800, 7200  # seconds; meson takes 0 or less for no limit at all

tests = json.loads((pathlib.Path(sys.argv[1]) / "meson-info/intro-tests.json").read_text(encoding="utf-8"))
faults = [f"{test['name']}: its limit is {test['timeout']} seconds" for test in tests if not LEAST <= test["timeout"] <= MOST]
print("\n".join(faults) or f"{len(tests)} tests end in time")
sys.exit(bool(faults) or len(tests) < 50)
