"""times.py N CPUS MS: N processes that each need MS milliseconds of processor time, on CPUS processors.

Prints how many milliseconds pass until the last one has ended. What other programs took of these processors meanwhile
is subtracted, so that a busy machine gives the same answer.
"""
import os
import sys
import time

n, cpus, need = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000
allowed = sorted(os.sched_getaffinity(0))
if len(allowed) < cpus:
    sys.exit(f"{cpus} processors are needed, and {len(allowed)} may be used here")
tick = os.sysconf("SC_CLK_TCK")


def busy(cpu):
    """Seconds that this processor has worked so far, for anyone: all columns but idle and iowait."""
    with open("/proc/stat") as f:
        for line in f:
            words = line.split()
            if words[0] == f"cpu{cpu}":
                used = [int(word) for word in words[1:9]]
                return (sum(used) - used[3] - used[4]) / tick


ready, go = os.pipe()
cpu_of = [allowed[i % cpus] for i in range(n)]
children = {}
for cpu in cpu_of:
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {cpu})
        os.close(go)
        os.read(ready, 1)  # until the parent closes the other end
        begin = time.process_time()
        while time.process_time() - begin < need:
            pass
        os._exit(0)
    children[child] = cpu
time.sleep(0.1)
before = {cpu: busy(cpu) for cpu in set(cpu_of)}
begin = time.monotonic()
os.close(go)
passed, used, worked = {}, {}, {}
while children:
    # In the order in which they end: one that waits for a busy processor must not delay the other's time.
    child, _, usage = os.wait4(-1, 0)
    cpu = children.pop(child)
    passed[cpu] = time.monotonic() - begin
    used[cpu] = used.get(cpu, 0) + usage.ru_utime + usage.ru_stime
    worked[cpu] = busy(cpu) - before[cpu]
others = {cpu: max(0, worked[cpu] - used[cpu]) for cpu in used}
print(round(1000 * max(passed[cpu] - others[cpu] for cpu in used)))
