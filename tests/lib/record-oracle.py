#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a reader of sunrpc records has to say of a stream: record-oracle.py FOLDER makes a corpus there.

Written from RFC 5531, section 11, and the text of ullage/record.h alone: a second opinion has to be one. Each case is
NAME.stream, NAME.options (as record_forms takes them) and NAME.expected:

    record INDEX bytes B fragments F offset O adler32 A
    end 0 0 N | end ERROR OFFSET N       N: with so many bytes of the stream there, it has to be known

record-oracle.py --read STREAM [OPTION...] says it of one stream; --seeds FOLDER: streams for fuzz_record."""
import os
import random
import sys
import zlib

RECORD_BYTES, FRAGMENTS, AVERAGE = 1052672, 4096, 64
ANY = 2 ** 32 - 1
HEADER_BYTES = 24  # xid, type, RPC version, program, version, procedure


class Options:
    def __init__(self, fragment=0, record=0, fragments=0, average=0, caps=(), chunk=0, rpc=0):
        self.given = (fragment, record, fragments, average)
        self.record = record or RECORD_BYTES
        self.fragment = fragment or None
        self.fragments = fragments or FRAGMENTS
        self.average = average or (0 if fragments else AVERAGE)
        self.caps, self.chunk, self.rpc = list(caps), chunk, rpc

    def words(self):
        names = ("--max-fragment-bytes", "--max-record-bytes", "--max-fragments", "--min-average-fragment-bytes")
        said = [f"{name} {value}" for name, value in zip(names, self.given) if value]
        said += ["--cap " + ",".join("any" if value == ANY else str(value) for value in cap) for cap in self.caps]
        return " ".join(said + [f"{name} {value}" for name, value in (("--chunk-bytes", self.chunk), ("--rpc", self.rpc)) if value])

    def cap_of(self, header):
        """The cap of a record that begins with these bytes: of those that fit, the one that names most, and of those the first."""
        word = [int.from_bytes(header[4 * i:4 * i + 4], "big") for i in range(6)]
        best = None
        for program, version, procedure, cap in self.caps if word[1:3] == [0, 2] else ():
            if program == word[3] and version in (ANY, word[4]) and procedure in (ANY, word[5]):
                named = (version != ANY) + (procedure != ANY)
                if best is None or named > best[0]:
                    best = (named, cap)
        return best[1] if best else self.record


def is_rpc(body):
    """RFC 5531, section 9: a call of version 2 whose credential and verifier end inside, of at most 400 bytes; or a reply."""
    word = [int.from_bytes(body[4 * i:4 * i + 4], "big") for i in range(len(body) // 4)]

    def after_opaque(at):  # at: the number of the word that has its flavor; None: it does not end inside
        if len(word) < at + 2 or word[at + 1] > 400 or len(word) < at + 2 + (word[at + 1] + 3) // 4:
            return None
        return at + 2 + (word[at + 1] + 3) // 4

    if len(word) >= 6 and word[1:3] == [0, 2]:
        verifier = after_opaque(6)
        return verifier is not None and after_opaque(verifier) is not None
    if len(word) >= 3 and word[1:3] == [1, 0]:
        status = after_opaque(3)
        return status is not None and len(word) > status
    return len(word) >= 4 and word[1:3] == [1, 1]


class End(Exception):
    """The stream ends: (error or "0", its offset, bytes after which that is known)"""


def one_record(stream, start, options):
    """The record that begins at start, and where the next one does: (body, fragments, next). Raises End."""
    at, announced, fragments, body = start, 0, 0, bytearray()
    cap = max([options.record] + [cap for *_, cap in options.caps])
    looked = not options.caps
    while True:
        if at == len(stream) and fragments == 0:
            raise End("0", 0, at)
        if len(stream) - at < 4:
            raise End("ECONNRESET", len(stream), len(stream))
        marker = int.from_bytes(stream[at:at + 4], "big")
        last, length = marker >> 31, marker & 0x7FFFFFFF
        fragments += 1
        announced += length
        if options.fragment is not None and length > options.fragment or announced > cap:
            raise End("EMSGSIZE", at, at + 4)
        if fragments > options.fragments and (options.average == 0 or announced < options.average * fragments):
            raise End("EMSGSIZE", at, at + 4)
        at += 4
        before = len(body)
        body += stream[at:at + length]
        if not looked and len(body) >= HEADER_BYTES:
            looked, cap = True, options.cap_of(body)
            if announced > cap:
                raise End("EMSGSIZE", start, at + HEADER_BYTES - before)
        if len(stream) - at < length:
            raise End("ECONNRESET", len(stream), len(stream))
        at += length
        if last and options.rpc and not is_rpc(body):
            raise End("EPROTO", start, at)
        if last:
            return body, fragments, at


def expected(stream, options):
    lines, at = [], 0
    try:
        while True:
            body, fragments, after = one_record(stream, at, options)
            lines.append(f"record {len(lines)} bytes {len(body)} fragments {fragments} offset {at} adler32 {zlib.adler32(body):08x}")
            at = after
    except End as end:
        return lines + ["end {} {} {}".format(*end.args)]


# ---- streams ----

def fill(count, seed=1):
    return random.Random(seed * 1000003 + count).randbytes(count)


def mark(length, last):
    return (length | last << 31).to_bytes(4, "big")


def pieces(*lengths, seed=1):
    """A record in fragments of these lengths."""
    return b"".join(mark(n, i == len(lengths) - 1) + fill(n, seed + i) for i, n in enumerate(lengths))


def call(program, version, procedure, size, *cuts, kind=0):
    """A call of so many bytes, in fragments that end at the cuts."""
    words = (7, kind, 2, program, version, procedure)
    body = (b"".join(word.to_bytes(4, "big") for word in words) + fill(max(0, size - 24)))[:size]
    ends = list(cuts) + [size]
    return b"".join(mark(end - begin, end == size and i == len(ends) - 1) + body[begin:end]
                    for i, (begin, end) in enumerate(zip([0] + ends, ends)))


def singles():
    plain = Options()
    yield "single-nothing", b"", plain
    for size in (0, 1, 2, 3, 4, 5, 7, 8, 9, 23, 24, 25, 63, 64, 65, 127, 255, 256, 257, 511, 512, 513, 1000, 4095, 4096):
        yield f"single-{size}", pieces(size), plain
    yield "single-many", b"".join(pieces(n, seed=n) for n in range(40)), plain
    yield "single-many-again", b"".join(pieces(n % 7, seed=n) for n in range(120)), plain
    yield "single-descending", b"".join(pieces(n, seed=n) for n in (900, 300, 100, 30, 10, 3, 1, 0, 0, 600)), plain


def fragmented():
    plain = Options()
    for lengths in ((1, 1), (1, 2, 3), (3, 2, 1), (100, 100), (5, 600, 5), (1, 1000), (1000, 1), (24, 1), (23, 2), (4, 4, 4, 4)):
        name = "-".join(map(str, lengths))
        yield f"multi-{name}", pieces(*lengths), plain
        yield f"multi-{name}-between", pieces(9) + pieces(*lengths) + pieces(17), plain
    yield "multi-ones", pieces(*[1] * 300), plain
    yield "multi-rising", pieces(*range(40)), plain
    yield "multi-some", b"".join(pieces(*[n % 5] * (1 + n % 9)) for n in range(60)), plain


def zeros():
    plain = Options()
    for name, lengths in {"first": (0, 20), "middle": (10, 0, 10), "last": (20, 0), "only": (0, 0), "three": (0, 0, 0),
                          "all-over": (0, 5, 0, 0, 7, 0), "many-first": [0] * 200 + [9], "many-last": [9] + [0] * 200,
                          "many-middle": [1] + [0] * 200 + [1], "many": [0] * 201}.items():
        yield f"zero-{name}", pieces(*lengths), plain
        yield f"zero-{name}-between", pieces(3) + pieces(*lengths) + pieces(0) + pieces(4), plain
    yield "zero-records", pieces(0) * 60, plain
    yield "zero-records-and-one", pieces(0) * 30 + pieces(1) + pieces(0) * 30, plain
    yield "zero-for-ever", mark(0, 0) * 5000, plain


def caps():
    both = Options(fragment=40, record=100)
    for size in (39, 40, 41):
        for name, lengths in {"single": (size,), "first": (size, 3), "middle": (3, size, 3), "last": (3, size)}.items():
            yield f"caps-fragment-{name}-{size}", pieces(6) + pieces(*lengths) + pieces(6), both
    record = Options(record=100)
    for size in (99, 100, 101):
        for name, lengths in {"single": (size,), "first": (size, 0), "middle": (10, size - 20, 10), "last": (10, size - 10),
                              "empty-last": (50, size - 50, 0), "thirds": (33, 33, size - 66)}.items():
            yield f"caps-record-{name}-{size}", pieces(6) + pieces(*lengths) + pieces(6), record
    yield "caps-one-byte", b"".join(pieces(n) for n in (0, 1, 1, 0, 2)), Options(record=1)
    yield "caps-later", pieces(100) * 8 + pieces(60, 41) + pieces(4), record
    for name, head in {"ones": b"\xff" * 4, "ones-not-last": b"\x7f" + b"\xff" * 3, "get": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                       "tls": b"\x16\x03\x01\x02\x00\x01\x00", "ssh": b"SSH-2.0-OpenSSH_9.2\r\n"}.items():
        yield f"refused-{name}", head, Options()
        yield f"refused-{name}-later", pieces(12) + pieces(5, 5) + head + b"more", Options()
        yield f"refused-{name}-inside", mark(4, 0) + b"abcd" + head + b"more", Options()
        yield f"refused-{name}-small", pieces(12) + head, Options(fragment=64, record=300, fragments=2)
    huge = Options(record=2 ** 33)
    yield "announced-2-gib", mark(2 ** 31 - 1, 0) + b"abcd", huge
    yield "announced-2-gib-later", pieces(3) + mark(0, 0) + mark(2 ** 31 - 1, 1) + fill(1000), huge
    yield "announced-whole-default", mark(RECORD_BYTES, 1) + b"abcd", Options()
    yield "announced-over-default", mark(RECORD_BYTES + 1, 1) + b"abcd", Options()


def counts():
    for limit in (1, 2, 3, 10):
        for more in (-1, 0, 1):
            if limit + more > 0:
                yield f"count-{limit}-{limit + more}", pieces(3) + pieces(*[5] * (limit + more)) + pieces(3), Options(fragments=limit)
    averaged = Options(fragments=3, average=10)
    for name, lengths in {"ten": [10] * 9, "short": [10] * 3 + [9], "saved": [40, 0, 0, 0, 9], "spent": [40] + [0] * 4,
                          "few-are-free": [0, 0, 0], "fourth": [0, 0, 0, 40], "fourth-short": [0, 0, 0, 39],
                          "ends-empty": [10, 10, 20, 0], "late": [10] * 20 + [9, 11]}.items():
        yield f"count-average-{name}", pieces(2) + pieces(*lengths) + pieces(2), averaged
    yield "count-average-one", pieces(*[1] * 30) + pieces(*[1] * 30 + [0]), Options(fragments=1, average=1)
    for name, lengths in {"4096": [1] * 4096, "4097": [1] * 4097, "zero-4096": [0] * 4096, "zero-4097": [0] * 4097,
                          "63": [64] * 4096 + [63], "long-first": [300000] + [0] * 4500,
                          "long-last": [0] * 4096 + [262208], "long-last-short": [0] * 4096 + [262207]}.items():
        yield f"count-default-{name}", pieces(1) + pieces(*lengths) + pieces(1), Options()


def procedures():
    some = [(100003, 3, 7, 400), (100003, 3, ANY, 150), (100003, ANY, ANY, 120), (100005, ANY, ANY, 50), (100003, 3, 7, 90),
            (100005, ANY, 1, 60)]
    options = Options(record=100, caps=some)
    kinds = {"named": (100003, 3, 7, 400), "version": (100003, 3, 6, 150), "program": (100003, 4, 7, 120), "other": (100004, 3, 7, 100),
             "below": (100005, 3, 0, 50), "half": (100005, 3, 1, 60)}
    for name, (program, version, procedure, cap) in kinds.items():
        for size in (cap - 1, cap, cap + 1):
            for how, cuts in {"whole": (), "early": (10,), "at-24": (24,), "late": (40,), "ones": tuple(range(1, 24))}.items():
                stream = pieces(8) + call(program, version, procedure, size, *cuts) + pieces(8)
                yield f"procedure-{name}-{size}-{how}", stream, options
    yield "procedure-reply", call(100003, 3, 7, 101, kind=1) + pieces(1), options
    yield "procedure-reply-whole", call(100003, 3, 7, 100, kind=1) + pieces(1), options
    yield "procedure-largest", call(100003, 3, 7, 401), options
    yield "procedure-largest-late", call(100003, 3, 7, 401, 12), options
    yield "procedure-grows", call(100003, 3, 7, 400, 24, 100, 101, 300), options
    yield "procedure-outgrows", call(100003, 3, 6, 200, 24, 100, 151), options
    yield "procedure-empty-between", call(100004, 3, 7, 120, 12, 12, 12, 24, 24), options
    yield "procedure-fragment", call(100003, 3, 7, 300), Options(record=100, fragment=200, caps=some)
    yield "procedure-count", call(100003, 3, 7, 300, 10, 20, 30), Options(record=100, fragments=3, caps=some)
    yield "procedure-short", pieces(23) + pieces(0) + pieces(100) + pieces(101), options
    for end in range(0, 120, 3):
        yield f"procedure-eos-{end}", (pieces(1) + call(100003, 3, 6, 200, 12))[:5 + end], options


def messages():
    """RPC or refused; what begins wrong and then ends, or goes over a cap, is another question."""
    options = Options(rpc=1)

    def message(*words, tail=b""):
        return b"".join(word.to_bytes(4, "big") for word in words) + tail

    bodies = {"call": message(7, 0, 2, 1, 2, 3, 0, 0, 0, 0), "call-400": message(7, 0, 2, 1, 2, 3, 1, 400, tail=bytes(400 + 8)),
              "call-401": message(7, 0, 2, 1, 2, 3, 1, 401, tail=bytes(404 + 8)), "call-unended": message(7, 0, 2, 1, 2, 3, 1, 44, tail=bytes(40)),
              "call-padded": message(7, 0, 2, 1, 2, 3, 1, 5, tail=bytes(8 + 8) + fill(99)), "call-version": message(7, 0, 3, 1, 2, 3, 0, 0, 0, 0),
              "call-huge": message(7, 0, 2, 1, 2, 3, 1, ANY, tail=bytes(40)), "reply": message(7, 1, 0, 0, 0, 0, tail=fill(50)),
              "reply-denied": message(7, 1, 1, 0, 2, 2), "neither": message(7, 2, 2, 1, 2, 3, 0, 0, 0, 0), "empty": b"", "short": message(7)}
    good = message(9, 0, 2, 1, 2, 3, 0, 0, 0, 0)
    for name, body in bodies.items():
        for how, cuts in {"whole": (), "early": (6,), "ones": range(1, 40), "at-24": (24,), "late": (30, 30)}.items():
            ends_of = [0] + [cut for cut in cuts if cut < len(body)] + [len(body)]
            parts = [body[begin:end] for begin, end in zip(ends_of, ends_of[1:])]
            stream = b"".join(mark(len(part), i == len(parts) - 1) + part for i, part in enumerate(parts))
            yield f"message-{name}-{how}", mark(40, 1) + good + stream + mark(40, 1) + good, options


def ends():
    base = pieces(6) + pieces(3, 0, 4) + pieces(0) + pieces(2, 20) + pieces(0, 0)
    for end in range(len(base) + 1):
        yield f"eos-{end:03}", base[:end], Options(chunk=4096 if end % 2 else 0)
    over = pieces(6) + pieces(30, 30, 41) + pieces(2)
    for end in range(len(over) + 1):
        yield f"eos-over-{end:03}", over[:end], Options(record=100, fragment=60)


def large():
    plain = Options()
    for size in (65531, 65532, 65533, 65536, 65537, 70000):
        yield f"large-{size}", pieces(3) + pieces(size) + pieces(4), plain
    yield "large-two", pieces(131072) + pieces(40, 100000) + pieces(1), plain
    yield "large-small-chunk", pieces(5000) + pieces(10) * 300 + pieces(4092) + pieces(4096) + pieces(9000), Options(chunk=4096)
    yield "large-many", b"".join(pieces(n * 37 % 3000, seed=n) for n in range(120)), plain
    yield "large-fragments", b"".join(pieces(*[n * 91 % 700] * 30, seed=n) for n in range(12)), plain
    yield "large-513", pieces(*[2048] * 512 + [128]), plain
    for size in (RECORD_BYTES, RECORD_BYTES + 1):
        yield f"large-cap-{size}", pieces(size) + pieces(2), plain
    half = RECORD_BYTES // 2
    yield "large-cap-halves", pieces(half, half) + mark(half + 1, 0) + b"a" * (half + 1) + mark(half, 1) + b"more", plain
    yield "large-raised", pieces(4, 1200000) + pieces(1), Options(record=4 << 20)


def mixed(seed):
    """Records of a seed: mostly good, sometimes over a limit or cut short."""
    chance = random.Random(seed)
    big = seed % 10 == 9
    options = Options(record=chance.choice((0, 200, 1000)), fragment=chance.choice((0, 0, 150)), fragments=chance.choice((0, 5, 12)),
                      average=chance.choice((0, 3, 20)), chunk=chance.choice((0, 4096, 8192)),
                      caps=chance.choice(((), ((1, ANY, ANY, 600), (1, 2, 3, 80), (2, ANY, 4, 30)))))
    stream = bytearray()
    for _ in range(chance.randrange(1, 400 if big else 24)):
        if options.caps and chance.random() < 0.5:
            size = min(chance.randrange(24, 110), options.record)
            stream += call(chance.randrange(1, 4), chance.randrange(1, 3), chance.randrange(2, 5), size, *sorted(chance.sample(range(size), 2)))
        else:
            most = min(options.record, 4000 if big else 300) // 3
            stream += pieces(*[chance.randrange(most) for _ in range(chance.randrange(1, 4))], seed=chance.randrange(1000))
        if chance.random() < 0.01:
            stream += mark(chance.choice((options.record + 1, 2 ** 31 - 1, 0)), chance.randrange(2))
    if chance.random() < 0.3:
        del stream[chance.randrange(len(stream) + 1):]
    return f"mixed-{seed:03}", bytes(stream), options


def cases():
    for family in (singles, fragmented, zeros, caps, counts, procedures, messages, ends, large):
        yield from family()
    for seed in range(60):
        yield mixed(seed)


def make(folder):
    for name, stream, options in cases():
        path = os.path.join(folder, name)
        with open(path + ".stream", "wb") as out:
            out.write(stream)
        with open(path + ".options", "w") as out:
            print(options.words(), file=out)
        with open(path + ".expected", "w") as out:
            print(*expected(stream, options), sep="\n", file=out)


def make_seeds(folder):
    """The short ones, as fuzz_record takes them; where that makes sense, also as RPC, and stretched."""
    for name, stream, options in cases():
        record, fragment, fragments, average = options.given
        if len(stream) > 4000:
            continue
        for flags, stretched in ((0, 0), (0, 128), (2, 0)) if name[:4] in ("proc", "zero", "mult", "mixe") else ((0, 0),):
            head = bytes((record if record < 128 else 128 + min(127, record // 2081), fragment and 128 + min(127, fragment // 1031), fragments % 32,
                          average % 32, stretched, flags, len(options.caps) % 4, 0))
            with open(os.path.join(folder, f"{name}-{flags}-{stretched}"), "wb") as out:
                out.write(head + bytes((2, len(name) * 11 % 256, len(stream) % 30)) + stream)
    body = fill(28)
    for sizes in ((40000, 40000, 40000), (70000, 100), (33000, 5), (100, 66000, 66000)):
        with open(os.path.join(folder, "stretched-" + "-".join(map(str, sizes))), "wb") as out:
            out.write(bytes((0, 0, 0, 0, 128, 0, 0, 0, 3, 200, 17, 255)) + b"".join(mark(n, n != 33000) + body[:n] for n in sizes))


def read_one(path, words):
    names = {"--max-fragment-bytes": "fragment", "--max-record-bytes": "record", "--max-fragments": "fragments",
             "--min-average-fragment-bytes": "average", "--chunk-bytes": "chunk", "--rpc": "rpc"}
    given, limits = {}, []
    for name, value in zip(words[::2], words[1::2]):
        if name == "--cap":
            limits.append(tuple(ANY if part == "any" else int(part) for part in value.split(",")))
        else:
            given[names[name]] = int(value)
    with open(path, "rb") as stream:
        print(*expected(stream.read(), Options(caps=limits, **given)), sep="\n")


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--read":
        read_one(sys.argv[2], sys.argv[3:])
    elif len(sys.argv) == 3 and sys.argv[1] == "--seeds":
        make_seeds(sys.argv[2])
    elif len(sys.argv) == 2 and os.path.isdir(sys.argv[1]):
        make(sys.argv[1])
    else:
        sys.exit(__doc__)
