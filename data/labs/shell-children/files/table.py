"""table.py open|blocked: the heart of a shell. It starts a job, and adds it to the job table; the handler of SIGCHLD
deletes the job from the table. The file `log` tells what is done in which order.

"open": SIGCHLD may arrive at any time. "blocked": it is blocked from before the fork until the job is in the table.
"""
import os
import signal
import sys

log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
done = False


def handler(signum, frame):
    global done
    os.waitpid(-1, os.WNOHANG)
    os.write(log, b"delete\n")
    done = True


signal.signal(signal.SIGCHLD, handler)
is_blocked = sys.argv[1] == "blocked"
if is_blocked:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
if os.fork() == 0:
    os._exit(0)
os.write(log, b"add\n")
if is_blocked:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
while not done:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    if not done:
        signal.sigwait([signal.SIGCHLD])
        handler(signal.SIGCHLD, None)
