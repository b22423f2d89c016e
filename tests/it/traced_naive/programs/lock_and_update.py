# An update under flock.
import fcntl, os
for _ in range(2):
    if os.fork() == 0:
        with open("a", "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            n = int(file.read())
            file.seek(0)
            file.write(str(n + 1))
        os._exit(0)
os.wait()
os.wait()
