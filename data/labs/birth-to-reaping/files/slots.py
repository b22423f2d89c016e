"""A child lives, is stopped, ends, and is reaped. In each slot of time its parent looks at its state in /proc."""
import os
import signal
import sys
import time


def letter(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "-"


def until(pid, expected):
    """Waits until the child is in a state that stays."""
    while letter(pid) not in expected:
        time.sleep(0.002)
    return letter(pid)


go, told = os.pipe()
child = os.fork()
if child == 0:
    os.close(told)
    os.read(go, 1)  # blocks until the parent writes, or closes its end
    os._exit(0)
os.close(go)
cells = [until(child, "S")]
if sys.argv[1] == "1":
    os.kill(child, signal.SIGSTOP)
    cells.append(until(child, "T"))
    os.kill(child, signal.SIGCONT)
    cells.append(until(child, "S"))
else:
    os.kill(child, signal.SIGSTOP)
    cells.append(until(child, "T"))
    os.write(told, b"x")  # what it waits for is there, and it is still stopped
    time.sleep(0.05)
    cells.append(letter(child))
    os.kill(child, signal.SIGCONT)
os.close(told)
cells.append(until(child, "Z"))
os.waitpid(child, 0)
cells.append(letter(child))
print("child:", *cells)
