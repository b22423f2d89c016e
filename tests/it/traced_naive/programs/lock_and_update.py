# An update under flock, by the first that gets the lock.
import fcntl, os
for _ in range(2):
    if os.fork() == 0:
        file = os.open("a", os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(1)
        os.write(file, b"2")
        os._exit(0)
os.wait()
os.wait()
