"""grid.py "run stop wait": an observer and a child share one CPU. In each slot of time the observer looks at the child.

While the observer looks, it is the observer that runs on this CPU. So a child that could run (letter R) is not running
at that moment: it is ready. This is how the two can be told apart, although /proc has one letter for both.
"""
import os
import select
import signal
import sys
import time

cpu = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {cpu})  # the child inherits this


def stat(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
            return fields[0], int(fields[36])
    except FileNotFoundError:
        return "-", cpu


def state(pid):
    letter, where = stat(pid)
    assert where == cpu, "the child is on another processor"
    return {"R": "ready", "S": "blocked", "D": "blocked", "T": "stopped", "Z": "zombie"}.get(letter, "none")


def until(pid, expected):
    deadline = time.monotonic() + 10
    while state(pid) != expected and time.monotonic() < deadline:
        time.sleep(0.005)
    return state(pid)


orders, order = os.pipe()
child = os.fork()
if child == 0:
    os.close(order)
    while word := os.read(orders, 1):
        if word == b"r":  # works until the next order is there
            while not select.select([orders], [], [], 0)[0]:
                pass
        # otherwise it reads on: the pipe is empty
    os._exit(0)
os.close(orders)
cells = [until(child, "blocked")]
for word in sys.argv[1].split():
    if word == "run":
        os.write(order, b"r")
        cells.append(until(child, "ready"))
        os.write(order, b"w")
        until(child, "blocked")
    elif word == "wait":
        os.write(order, b"w")
        time.sleep(0.05)
        cells.append(until(child, "blocked"))
    else:
        os.write(order, b"r")
        until(child, "ready")
        os.kill(child, signal.SIGSTOP)
        cells.append(until(child, "stopped"))
        os.write(order, b"w")
        os.kill(child, signal.SIGCONT)
        until(child, "blocked")
os.close(order)
cells.append(until(child, "zombie"))
os.waitpid(child, 0)
print("child:", *cells)
