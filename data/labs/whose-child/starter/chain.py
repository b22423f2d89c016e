"""chain.py N: processes 1, 2, … N. Each says its number, its PID and its parent's PID.

They should form a chain: process 2 is the child of 1, process 3 the child of 2, and so on. The exit status of process 1
should be N: each process adds one to what its child exited with. This program does neither yet.
"""
import os
import sys

n = int(sys.argv[1])
os.write(1, f"1 {os.getpid()} {os.getppid()}\n".encode())
for level in range(2, n + 1):
    child = os.fork()
    if child == 0:
        os.write(1, f"{level} {os.getpid()} {os.getppid()}\n".encode())
        os._exit(0)
    os.waitpid(child, 0)
