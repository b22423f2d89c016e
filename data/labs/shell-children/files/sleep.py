"""sleep.py pause|suspend: a shell waits until its job has ended. The handler of SIGCHLD notes that.

"pause": looks whether it was noted, and if not, sleeps until a signal is handled (pause(2)). "suspend": SIGCHLD is blocked
while it looks, and is let in by the very call that sleeps (Python has sigwait(2) for that, C has sigsuspend(2)).
"""
import os
import signal
import sys

done = False


def handler(signum, frame):
    global done
    done = True


signal.signal(signal.SIGCHLD, handler)
if sys.argv[1] == "suspend":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
if os.fork() == 0:
    os._exit(0)
if sys.argv[1] == "suspend":
    signal.sigwait([signal.SIGCHLD])
elif not done:
    signal.pause()
os.wait()
