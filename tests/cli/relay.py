#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""relay.py FOLDER LISTEN:TARGET... - passes TCP connections on, on loopback, and keeps what went each way.

FOLDER/N.to and FOLDER/N.from are the two directions of the Nth connection. LISTEN 0 is any port. Prints "port N" for each listener, in
order, once all listen; ends on SIGTERM, or when its standard input ends if that is a pipe.
"""
import os
import selectors
import socket
import stat
import sys

folder, pairs = sys.argv[1], [pair.split(":") for pair in sys.argv[2:]]
waits = selectors.DefaultSelector()
count = 0


def copy(source, target, kept):
    """Some bytes from one side to the other; at the end of the stream, that end."""
    try:
        data = source.recv(1 << 18)
    except OSError:
        data = b""
    kept.write(data)
    kept.flush()
    try:
        if data:
            target.sendall(data)
        else:
            waits.unregister(source)
            target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def connect(listener, port):
    global count
    client = listener.accept()[0]
    server = socket.create_connection(("127.0.0.1", port))
    to, back = (open(f"{folder}/{count}.{way}", "wb") for way in ("to", "from"))
    count += 1
    waits.register(client, selectors.EVENT_READ, lambda: copy(client, server, to))
    waits.register(server, selectors.EVENT_READ, lambda: copy(server, client, back))


def listen(port, target):
    listener = socket.create_server(("127.0.0.1", port))
    waits.register(listener, selectors.EVENT_READ, lambda: connect(listener, target))
    return listener.getsockname()[1]


ports = [listen(int(port), int(target)) for port, target in pairs]
for port in ports:
    print("port", port, flush=True)
if stat.S_ISFIFO(os.fstat(0).st_mode):
    waits.register(0, selectors.EVENT_READ, lambda: sys.exit(0))
while True:
    for key, _ in waits.select():
        key.data()
