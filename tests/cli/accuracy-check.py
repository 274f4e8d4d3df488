#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares what accuracy.c says it did with what the report says: accuracy-check.py TRUTH REPORT LEAST_EXACT_PERCENT"""
import json
import sys

PAGE = 4096
truth = {}
for line in open(sys.argv[1]):
    number, call, pattern, requested, used = line.split()
    truth[int(number)] = (call, pattern, int(requested), int(used))

report = json.load(open(sys.argv[2]))
sites = {}
for site in report["sites"]:
    names = [frame["function"] for frame in site["stack"]]
    if "allocate" not in names or site["requested_max_bytes"] < 65536:
        continue
    digits = [name for name in names if name in ("zero", "one")]
    number = int("".join("1" if name == "one" else "0" for name in reversed(digits)), 2)
    if number in sites:
        sys.exit(f"buffer {number} has two sites: {sites[number]['id']} {site['id']}")
    sites[number] = site

wrong, exact, bound, unknown, flags = [], 0, 0, 0, {}
for number, (call, pattern, requested, used) in truth.items():
    site = sites.get(number)
    where = f"buffer {number} ({call}, {pattern}, {requested} requested, {used} used)"
    if site is None:
        wrong.append(f"{where}: not in the report")
        continue
    if (site["kind"], site["allocations_total"], site["requested_total_bytes"]) != (call, 1, requested):
        wrong.append(f"{where}: {site['kind']} {site['allocations_total']} {site['requested_total_bytes']}")
    measured = site["used_max_bytes"]
    if measured is None:
        unknown += 1
        if site["flag"] is not None:
            wrong.append(f"{where}: never measured, and flagged")
        continue
    if measured < used:
        wrong.append(f"{where}: measured {measured}, under the truth")
    if site["used_is"] == "measured":
        exact += 1
        edge = measured == requested and used > requested - 2 * PAGE
        if measured - used >= PAGE and not edge:
            wrong.append(f"{where}: measured {measured} as exact")
        if site["touched_max_bytes"] > measured:
            wrong.append(f"{where}: touched {site['touched_max_bytes']} of {measured} used")
    else:
        bound += 1
    flag = site["flag"]
    flags[flag] = flags.get(flag, 0) + 1
    if site["suggested_bytes"] is not None and flag == "oversized" and site["suggested_bytes"] < used:
        wrong.append(f"{where}: {site['suggested_bytes']} suggested, too small")
    if flag == "oversized" and pattern in ("sparse", "all"):
        wrong.append(f"{where}: called oversized")

for line in wrong[:20]:
    print("#", line)
print(f"# {len(truth)} buffers: {exact} exact, {bound} upper bounds, {unknown} unknown; flags {flags}")
if exact * 100 < len(truth) * int(sys.argv[3]):
    wrong.append(f"fewer than {sys.argv[3]} % are exact: the test proves little")
    print("#", wrong[-1])
print(f"# {len(wrong)} wrong")
sys.exit(1 if wrong else 0)
