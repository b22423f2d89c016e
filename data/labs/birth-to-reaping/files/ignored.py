"""SIGCHLD is ignored. A child exits with 7, and its parent waits for it."""
import os
import signal

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
child = os.fork()
if child == 0:
    os._exit(7)
try:
    _, status = os.waitpid(child, 0)
    print("status" if os.waitstatus_to_exitcode(status) == 7 else "zero")
except ChildProcessError:
    print("echild")
