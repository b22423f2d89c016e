"""kernel.py posix|flock: two processes lock two files in opposite order, for certain: each has one before it asks for the
other. The locks are record locks (fcntl), or those of flock.
"""
import errno
import fcntl
import os
import select
import sys

lock = fcntl.lockf if sys.argv[1] == "posix" else fcntl.flock
held, told = os.pipe()
go, tell = os.pipe()
result, answer = os.pipe()
children = []
for mine, other in (("a", "b"), ("b", "a")):
    child = os.fork()
    if child == 0:
        os.close(tell)
        fds = {name: os.open(name, os.O_RDWR) for name in "ab"}
        lock(fds[mine], fcntl.LOCK_EX)
        os.write(told, b"x")
        os.read(go, 1)
        try:
            lock(fds[other], fcntl.LOCK_EX)
        except OSError as error:
            os.write(answer, b"edeadlk" if error.errno == errno.EDEADLK else b"another")
        os._exit(0)
    children.append(child)
os.read(held, 1)
os.read(held, 1)
os.close(tell)
ready, _, _ = select.select([result], [], [], 2)
print(os.read(result, 100).decode() if ready else "hangs")
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
