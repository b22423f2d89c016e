"""nice.py N: two busy processes on one CPU, of which one is nicer by N. How many times as much processor time does the
other one get? They do nothing else and wait for nothing, so only the scheduler decides.
"""
import os
import sys
import time

cpu = min(os.sched_getaffinity(0))
children = []
for more in (0, int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        os.nice(more)
        os.sched_setaffinity(0, {cpu})
        while True:
            pass
    children.append(child)


def used(pid):
    """Nanoseconds on a processor so far."""
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0])


time.sleep(0.1)
before = [used(child) for child in children]
deadline = time.monotonic() + 20
while True:
    time.sleep(0.1)
    normal, nicer = (used(child) - first for child, first in zip(children, before))
    if normal + nicer > 1_000_000_000 or time.monotonic() > deadline:
        break
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
print(round(normal / max(nicer, 1), 1))
