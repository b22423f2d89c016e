"""Three processes A, B and C. Each locks the file of its own name; once all have, each waits for another one's lock."""
import fcntl
import os
import time

NAMES = "ABC"


def start(wants):
    """Starts them; `wants` has the name that each of them waits for. Returns their PIDs once all three wait."""
    held, told = os.pipe()
    go, tell = os.pipe()
    pids = {}
    for name, wanted in zip(NAMES, wants.split()):
        child = os.fork()
        if child == 0:
            os.close(tell)
            own = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(own, fcntl.LOCK_EX)
            os.write(told, b"x")
            os.read(go, 1)  # until all three have their own
            fcntl.flock(os.open(wanted, os.O_RDWR), fcntl.LOCK_EX)
            os._exit(0)
        pids[name] = child
    for _ in NAMES:
        os.read(held, 1)
    os.close(tell)
    deadline = time.monotonic() + 10
    while len(waiting()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    return pids


def waiting():
    """Who waits for whom, as the kernel tells in /proc/locks: a line with -> waits for the line without, of that number."""
    ours = {os.stat(name).st_ino for name in NAMES if os.path.exists(name)}
    holder, waits = {}, []
    with open("/proc/locks") as f:
        for line in f:
            words = line.split()
            blocked = words[1] == "->"
            words = [words[0]] + words[2:] if blocked else words
            number, pid, inode = words[0], int(words[4]), int(words[5].rsplit(":", 1)[1])
            if inode not in ours:
                continue
            if blocked:
                waits.append((pid, number))
            else:
                holder[number] = pid
    return {pid: holder[number] for pid, number in waits if number in holder}


def end(pids):
    for pid in pids.values():
        os.kill(pid, 9)
        os.waitpid(pid, 0)
