"""closed.py N: N buyers and one ticket in the file `stock`, with a record lock on that file.

The number is read through the descriptor that has the lock: closing any other one of this file would drop the lock.
"""
import fcntl
import os
import sys


def left(fd):
    """How many tickets there are."""
    return int(os.pread(fd, 20, 0))


def buy(name):
    fd = os.open("stock", os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    count = left(fd)
    if count > 0:
        os.pwrite(fd, f"{count - 1}\n".encode(), 0)
        os.write(1, f"{name} has a ticket\n".encode())
    else:
        os.write(1, f"{name} has no ticket\n".encode())
    os.close(fd)


n = int(sys.argv[1]) if len(sys.argv) > 1 else 2
for i in range(n):
    if os.fork() == 0:
        buy(chr(ord("A") + i))
        os._exit(0)
sys.exit(max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(n)))
