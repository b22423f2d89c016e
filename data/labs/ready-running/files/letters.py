"""Two busy processes on one CPU. Which letters does the kernel show for them? They are looked at many times."""
import os
import time

cpu = min(os.sched_getaffinity(0))
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {cpu})
        while True:
            pass
    children.append(child)


def letter(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


time.sleep(0.1)
seen = set()
for _ in range(50):
    seen.add(tuple(sorted(letter(child) for child in children)))
    time.sleep(0.002)
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
print({frozenset([("R", "R")]): "r-and-r", frozenset([("S", "S")]): "s-and-s"}.get(frozenset(seen), "r-and-s"))
