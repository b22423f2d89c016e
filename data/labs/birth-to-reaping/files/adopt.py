"""adopt.py COMMAND …: runs the command as the process that adopts orphans (a subreaper). Whatever the command did not reap
comes to this process when the command has ended, so it can count them.
"""
import ctypes
import os
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36

if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
left = 0
while True:
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        break
    left += 1
if left:
    sys.exit(f"{left} of its children were never waited for: another process had to reap them")
print("every child was reaped")
