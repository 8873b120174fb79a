"""Counts the results in meson's test logs; prints "N passed, N failed, N skipped" and fails if none passed."""
import collections
import json
import sys

results = collections.Counter()
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as log:
        results.update(json.loads(line)["result"] for line in log)
passed = results["OK"] + results["EXPECTEDFAIL"]
skipped = results["SKIP"]
failed = sum(results.values()) - passed - skipped
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed > 0 or passed == 0)
