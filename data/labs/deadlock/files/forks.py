"""forks.py COMMAND …: holds the fork between philosophers 0 and 1 (the file `fork1`) for a while, then lets it go. Neither
of the two may eat meanwhile; in the end all three have eaten.
"""
import fcntl
import os
import select
import subprocess
import sys
import time

for i in range(3):
    os.close(os.open(f"fork{i}", os.O_RDWR | os.O_CREAT, 0o644))
fd = os.open("fork1", os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX)
fcntl.lockf(fd, fcntl.LOCK_EX)
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
said = b""
deadline = time.monotonic() + 1
while (left := deadline - time.monotonic()) > 0:
    if select.select([child.stdout], [], [], left)[0]:
        piece = os.read(child.stdout.fileno(), 4096)
        if not piece:
            break
        said += piece
os.close(fd)
early = [line for line in said.decode().splitlines() if line in ("0 eats", "1 eats")]
if early:
    child.kill()
    sys.exit(f"`{early[0]}`, although another process holds fork1")
said += child.stdout.read()
code = child.wait()
if sorted(said.decode().split("\n")) != ["", "0 eats", "1 eats", "2 eats"] or code:
    sys.exit(f"exit status {code}, and it printed:\n{said.decode()}")
print("right")
