"""waiter.py COMMAND …: the file `lock` is locked, and two runs of `COMMAND 1` wait for it. The first gets the lock, buys and
ends; the second is stopped meanwhile. Then this script opens `lock` anew, as a third buyer would, and locks it: while it
holds the lock, the second must not buy.
"""
import fcntl
import os
import signal
import subprocess
import sys
import time

command = sys.argv[1:] + ["1"]


def locked():
    """The file `lock`, locked in both ways, and without waiting."""
    fd = os.open("lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return fd


def buyer():
    """A buyer in a process group of its own, so that its children can be stopped with it."""
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def has_ended(child, seconds):
    try:
        child.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def waiting():
    """How many processes wait for a lock, in this namespace of processes."""
    with open("/proc/locks") as f:
        return sum("->" in line for line in f)


def until_another_waits(before):
    """Until one more process waits for a lock, or long enough for any program to come so far."""
    deadline = time.monotonic() + 3
    while waiting() <= before and time.monotonic() < deadline:
        time.sleep(0.01)


with open("stock", "w") as f:
    f.write("9\n")
held = locked()
before = waiting()
first = buyer()
until_another_waits(before)
second = buyer()
until_another_waits(before + 1)
if first.poll() is None and second.poll() is None:
    os.killpg(second.pid, signal.SIGSTOP)
    os.close(held)
    if has_ended(first, 3):
        held = locked()
        os.killpg(second.pid, signal.SIGCONT)
        if held is not None and has_ended(second, 1):
            print("a buyer waited for the lock; the one before it ended, and another opened `lock` and locked it;")
            print("then the one that had waited bought while the other held the lock: they had locked two different files")
            sys.exit(1)
    else:
        # It does not use locks on this file: its own rules decide, and the search tries them.
        os.unlink("lock")
        os.killpg(second.pid, signal.SIGCONT)
if held is not None:
    os.close(held)
if not (has_ended(first, 3) and has_ended(second, 3)):
    print("a buyer still waits although nobody holds the lock")
    sys.exit(1)
print("right")
