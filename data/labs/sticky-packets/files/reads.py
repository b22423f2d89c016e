"""reads.py "ab / cd": one process writes two pieces into a stream, another reads once, at most 100 bytes, and notes what
it got in `log`.
"""
import os
import sys

reader, writer = os.pipe()
if os.fork() == 0:
    for piece in sys.argv[1].split(" / "):
        os.write(writer, piece.encode())
    os._exit(0)
if os.fork() == 0:
    got = os.read(reader, 100)
    with open("log", "wb") as log:
        log.write(got)
    os._exit(0)
os.wait()
os.wait()
