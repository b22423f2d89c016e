"""Three philosophers sit around a table, with a fork between each two: the files fork0, fork1 and fork2. Philosopher i
needs fork i and the next one to eat. Each takes the one with the smaller number first, so they cannot wait in a circle.
"""
import fcntl
import os
import sys

N = 3


def take(number):
    fd = os.open(f"fork{number}", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(fd, fcntl.LOCK_EX)


def philosopher(i):
    for number in sorted([i, (i + 1) % N]):
        take(number)
    os.write(1, f"{i} eats\n".encode())


for i in range(N):
    if os.fork() == 0:
        philosopher(i)
        os._exit(0)  # its descriptors are closed, and so its forks lie on the table again
sys.exit(max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(N)))
