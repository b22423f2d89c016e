"""forked.py flock|posix: a process locks a file and forks. The child tries to lock it, too, with the descriptor that it
has inherited.
"""
import fcntl
import os
import sys

lock = fcntl.flock if sys.argv[1] == "flock" else fcntl.lockf
fd = os.open("stock", os.O_RDWR)
lock(fd, fcntl.LOCK_EX)
child = os.fork()
if child == 0:
    try:
        lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os._exit(1)
    os._exit(0)
_, status = os.waitpid(child, 0)
print("refused" if status else "gets-it")
