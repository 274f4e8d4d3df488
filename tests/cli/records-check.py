#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""records-check.py COMMAND FOLDER: what `ullage records --json` says of each stream in FOLDER, against what the oracle of readers
(tests/lib/record-oracle.py) wrote beside it. Cases that need options which the command does not have are passed over."""
import glob
import json
import subprocess
import sys

OPTIONS = {"--max-fragment-bytes": "--max-fragment", "--max-record-bytes": "--max-record", "--max-fragments": "--max-fragments",
           "--chunk-bytes": None}


def translated(words):
    """The command's options; None where it has none for it."""
    options = []
    for name, value in zip(words[::2], words[1::2]):
        if name not in OPTIONS:
            return None
        if OPTIONS[name]:
            options += [OPTIONS[name], value]
    return options


def said(command, options, path):
    run = subprocess.run([command, "records", "--json", *options, path], capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    *records, end = lines
    out = [f"record {r['index']} bytes {r['bytes']} fragments {r['fragments']} offset {r['offset']}" for r in records]
    assert end["records"] == len(records) and end["bytes"] == sum(r["bytes"] for r in records), end
    assert run.returncode == (1 if end["error"] else 0), run.returncode
    assert (end["error"] is None) == (end["message"] is None) == (end["error_offset"] is None), end
    return out + [f"end {end['error'] or 0} {end['error_offset'] or 0}"]


def main(command, folder):
    checked = 0
    for path in sorted(glob.glob(folder + "/*.stream")):
        base = path.removesuffix(".stream")
        options = translated(open(base + ".options").read().split())
        if options is None:
            continue
        expected = [" ".join(line.split()[:8 if line.startswith("record") else 3]) for line in open(base + ".expected")]
        found = said(command, options, path)
        if found != expected:
            sys.exit(f"{base} {options}: {[line for line in found if line not in expected]}, not {[line for line in expected if line not in found]}")
        checked += 1
    print(checked, "streams")
    if checked < 200:
        sys.exit("too few")


main(*sys.argv[1:])
