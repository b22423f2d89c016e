"""chain.py N: each process starts the next one, waits for it, and adds one to its exit status."""
import os
import sys

n = int(sys.argv[1])
level = 1
while True:
    os.write(1, f"{level} {os.getpid()} {os.getppid()}\n".encode())
    if level == n:
        os._exit(1)
    child = os.fork()
    if child > 0:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) + 1)
    level += 1
