#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Kills churn at random instants and reads what it left: kill-check.py ULLAGE PRELOAD CHURN TIMES"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ullage, preload, churn, times = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
random.seed(7)
problems, with_ledger, known = [], 0, 0
for attempt in range(times):
    directory = tempfile.mkdtemp(prefix="ullage-kill-")
    environment = dict(os.environ, LD_PRELOAD=preload, ULLAGE_DIR=directory)
    process = subprocess.Popen([churn], env=environment)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not any(name.endswith(".ledger") for name in os.listdir(directory)):
        time.sleep(0.0005)
    time.sleep(random.choice([0, random.uniform(0, 0.002), random.uniform(0, 0.05)]))
    process.send_signal(signal.SIGKILL)
    process.wait()
    ledgers = [name for name in os.listdir(directory) if name.endswith(".ledger")]
    for name in ledgers:
        path = os.path.join(directory, name)
        done = subprocess.run([ullage, "report", "--json", path], capture_output=True, text=True)
        if done.returncode != 0:
            problems.append(f"attempt {attempt}: {done.stderr.strip()}")
            continue
        with_ledger += 1
        report = json.loads(done.stdout)
        for site in report["sites"]:
            if site["function"] != "churn_site" or site["allocations_total"] == 0:
                continue
            size = site["requested_max_bytes"]
            live, total, freed = site["live_count"], site["allocations_total"], site["frees_total"]
            if live < 0 or freed > total or live > 41:
                problems.append(f"attempt {attempt}: {total} allocated, {freed} freed")
            if site["requested_total_bytes"] % size != 0 or abs(site["requested_total_bytes"] // size - total) > 1:
                problems.append(f"attempt {attempt}: torn: {site['requested_total_bytes']} bytes in {total} of {size}")
            if not 0 <= site["requested_live_bytes"] <= 41 * size:
                problems.append(f"attempt {attempt}: {site['requested_live_bytes']} bytes live")
            if site["used_max_bytes"] is not None:
                known += 1
                if not 0 <= site["used_max_bytes"] <= size:
                    problems.append(f"attempt {attempt}: used {site['used_max_bytes']}")
    shutil.rmtree(directory)
for line in problems[:10]:
    print("#", line)
print(f"# {times} kills, {with_ledger} ledgers, {known} sites with a known use, {len(problems)} problems")
sys.exit(1 if problems or with_ledger < times or known < times else 0)
