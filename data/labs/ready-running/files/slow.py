"""slow.py COMMAND …: runs the command, writes a line into its standard input now and then, and asks the kernel how
much processor time it used."""
import os
import resource
import subprocess
import sys
import time

MOST = 0.25

child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
try:
    for word in ("1", "2", "3"):
        time.sleep(0.5)
        child.stdin.write(word + "\n")
        child.stdin.flush()
    time.sleep(0.5)
    child.stdin.close()
except BrokenPipeError:
    pass
print(child.stdout.read(), end="", flush=True)
child.wait()
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
used = usage.ru_utime + usage.ru_stime
if used > MOST:
    print(f"it used {used:.1f} s of processor time in 2 s: it looks again and again instead of waiting")
sys.exit(child.returncode)
