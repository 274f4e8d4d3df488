#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Kills trees of forking processes, each process at a random instant, until so many were killed, and reads every ledger
that they left: kill-tree.py ULLAGE PRELOAD CHURN KILLS"""
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

ullage, preload, churn, wanted = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
random.seed(11)


def members(group):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            fields = open(path).read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(int(path.split("/")[2]))
    return found


def read(path):
    return subprocess.run([ullage, "report", "--json", "--top", "40", path], capture_output=True, text=True)


readers = ThreadPoolExecutor(os.cpu_count())
problems, kills, ledgers, inherited, trees = [], 0, 0, 0, 0
while kills < wanted and trees < wanted:
    trees += 1
    directory = tempfile.mkdtemp(prefix="ullage-kill-")
    environment = dict(os.environ, LD_PRELOAD=preload, ULLAGE_DIR=directory, ULLAGE_SAMPLE_BYTES="0")
    process = subprocess.Popen([churn, "2"], env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    time.sleep(random.uniform(0.02, 0.12))
    deadline = time.monotonic() + 10
    while (alive := members(process.pid)) and time.monotonic() < deadline:
        random.shuffle(alive)
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass
            if random.random() < 0.3:
                time.sleep(random.uniform(0, 0.003))
    process.wait()
    for done in readers.map(read, glob.glob(os.path.join(directory, "*.ledger"))):
        if done.returncode != 0:
            problems.append(f"tree {trees}: {done.stderr.strip()}")
            continue
        ledgers += 1
        report = json.loads(done.stdout)
        inherited += report["counters"]["inherited_total"]
        for site in report["sites"]:
            if site["function"] != "churn_site":
                continue
            size, total, freed = site["requested_max_bytes"], site["allocations_total"], site["frees_total"]
            if freed > total or site["live_count"] > 82 or total - freed != site["live_count"]:
                problems.append(f"tree {trees}: {total} allocated, {freed} freed, {site['live_count']} live")
            if size not in (0, 100000, 300000) or size and abs(site["requested_total_bytes"] // size - total) > 2:
                problems.append(f"tree {trees}: torn: {site['requested_total_bytes']} bytes in {total} of {size}")
            if site["used_max_bytes"] is not None and not 0 <= site["used_max_bytes"] <= size:
                problems.append(f"tree {trees}: used {site['used_max_bytes']}")
        if any("damaged" in warning for warning in report["warnings"]):
            problems.append(f"tree {trees}: {report['warnings']}")
    shutil.rmtree(directory)
for line in problems[:10]:
    print("#", line)
print(f"# {trees} trees, {kills} kills, {ledgers} ledgers, {inherited} buffers inherited, {len(problems)} problems")
sys.exit(1 if problems or kills < wanted or ledgers < trees or inherited == 0 else 0)
