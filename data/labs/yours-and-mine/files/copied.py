"""copied.py N: a parent has filled 32 MiB of memory. Its child reads all of it, and then writes to N MiB of it. How many
MiB of it are the child's own then? The kernel tells, in /proc/self/smaps.
"""
import mmap
import os
import sys

SIZE = 32 << 20
memory = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
if hasattr(mmap, "MADV_NOHUGEPAGE"):
    memory.madvise(mmap.MADV_NOHUGEPAGE)  # copy in pages of 4 KiB
memory.write(b"x" * SIZE)


def own():
    """MiB that no other process shares."""
    with open("/proc/self/smaps") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_")) / 1024


child = os.fork()
if child == 0:
    read = sum(memory[at] for at in range(0, SIZE, 4096))
    before = own()
    for at in range(0, int(sys.argv[1]) << 20, 4096):
        memory[at] = 1
    os.write(1, f"{own() - before:.0f}\n".encode())
    os._exit(0 if read else 1)
os.waitpid(child, 0)
