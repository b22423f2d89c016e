"""pair.py "a b / b a": two processes. Each locks two files, in the order that stands on its side of the slash."""
import fcntl
import os
import sys

for order in sys.argv[1].split(" / "):
    if os.fork() == 0:
        for name in order.split():
            fcntl.flock(os.open(name, os.O_RDWR), fcntl.LOCK_EX)
        os._exit(0)
for _ in range(2):
    os.wait()
