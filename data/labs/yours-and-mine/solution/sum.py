"""sum.py N: N children; child i squares i, and the parent prints the sum of the squares.

The results come through a pipe, which both sides share. Nothing is left in a buffer when the process forks.
"""
import os
import sys

n = int(sys.argv[1]) if len(sys.argv) > 1 else 2
print("adding", flush=True)
reader, writer = os.pipe()
for i in range(1, n + 1):
    if os.fork() == 0:
        os.write(writer, f"{i * i}\n".encode())
        os._exit(0)
os.close(writer)
with os.fdopen(reader) as results:
    total = sum(int(line) for line in results)
for _ in range(n):
    os.wait()
print("sum", total)
