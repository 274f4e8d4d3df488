#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""records-make.py WORD...: a record-marked stream to standard output. call=PROGRAM,VERSION,PROCEDURE,BYTES[,COUNT[,FRAGMENT]];
reply=BYTES[,COUNT]; text=STRING; hex=DIGITS (raw, without a marker); random=BYTES,SEED (raw)."""
import random
import struct
import sys


def record(body, fragment=0):
    pieces = [body[at:at + fragment] for at in range(0, len(body), fragment)] if fragment else [body]
    return b"".join(struct.pack(">I", len(piece) | (i == len(pieces) - 1) << 31) + piece for i, piece in enumerate(pieces))


def call(program, version, procedure, size, count=1, fragment=0):
    return b"".join(record(struct.pack(">6I", xid, 0, 2, program, version, procedure).ljust(size, b"\0")[:size], fragment) for xid in range(count))


def reply(size, count=1):
    return b"".join(record(struct.pack(">6I", xid, 1, 0, 0, 0, 0).ljust(size, b"\0")[:size]) for xid in range(count))


def bytes_of(word):
    kind, _, value = word.partition("=")
    if kind == "text":
        return record(value.encode())
    if kind == "hex":
        return bytes.fromhex(value)
    numbers = [int(number) for number in value.split(",")]
    if kind == "random":
        return random.Random(numbers[1]).randbytes(numbers[0])
    return {"call": call, "reply": reply}[kind](*numbers)


for argument in sys.argv[1:]:
    sys.stdout.buffer.write(bytes_of(argument))
