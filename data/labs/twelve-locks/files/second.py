"""second.py flock|posix: a process locks a file; then it opens the same file once more, and closes that. Another process
asks whether the lock is still held.
"""
import fcntl
import os
import sys

lock = fcntl.flock if sys.argv[1] == "flock" else fcntl.lockf
fd = os.open("stock", os.O_RDWR)
lock(fd, fcntl.LOCK_EX)
os.close(os.open("stock", os.O_RDONLY))
child = os.fork()
if child == 0:
    os.close(fd)
    own = os.open("stock", os.O_RDWR)
    try:
        lock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os._exit(1)
    os._exit(0)
_, status = os.waitpid(child, 0)
print("held" if status else "lost")
