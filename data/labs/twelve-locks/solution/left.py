"""left.py buy: takes the lock and buys the one ticket in the file `stock`.
left.py hold: takes the lock, says so, and holds it for a long time.

The kernel keeps the lock, and drops it with the holder's last descriptor, however the holder ends.
"""
import fcntl
import os
import sys
import time


def lock():
    fd = os.open("lock", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


fd = lock()
if sys.argv[1] == "hold":
    print("holding", flush=True)
    time.sleep(60)
else:
    with open("stock") as f:
        count = int(f.read())
    if count > 0:
        with open("stock", "w") as f:
            f.write(f"{count - 1}\n")
    print("A has a ticket" if count > 0 else "A has no ticket")
os.close(fd)
