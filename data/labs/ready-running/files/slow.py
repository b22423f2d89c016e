"""slow.py COMMAND …: runs the command, writes a line into its standard input now and then, and asks the kernel how
much processor time it used, and how often it was woken while nothing came.
"""
import os
import resource
import subprocess
import sys
import time

MOST = 0.25
QUIET = 1.2


def switches(session):
    """How often the processes of this session have gone to sleep: each time, something had woken them."""
    total = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(name)) != session:
                continue
            for thread in os.listdir(f"/proc/{name}/task"):
                with open(f"/proc/{name}/task/{thread}/status") as f:
                    total += sum(int(line.split()[1]) for line in f if line.startswith("voluntary"))
        except OSError:
            pass  # it has just ended
    return total


woken = 0
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
try:
    for word in ("1", "2", "3"):
        time.sleep(0.5)
        child.stdin.write(word + "\n")
        child.stdin.flush()
    time.sleep(0.5)
    before = switches(child.pid)
    time.sleep(QUIET)
    woken = switches(child.pid) - before
    child.stdin.close()
except BrokenPipeError:
    pass
print(child.stdout.read(), end="", flush=True)
child.wait()
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
used = usage.ru_utime + usage.ru_stime
if used > MOST:
    print(f"it used {used:.1f} s of processor time in {2 + QUIET:.1f} s: it looks again and again instead of waiting")
elif woken > 1:
    print(f"while nothing came for {QUIET} s it woke {woken} times: it sleeps and looks again instead of waiting")
sys.exit(child.returncode)
