"""pending.py KINDS TIMES: while signals are blocked, each of so many kinds of signals is sent so many times. Then they are
unblocked. How often is the handler called, all kinds together?
"""
import os
import signal
import sys

kinds = [signal.SIGUSR1, signal.SIGUSR2][: int(sys.argv[1])]
calls = 0


def handler(signum, frame):
    global calls
    calls += 1


for kind in kinds:
    signal.signal(kind, handler)
signal.pthread_sigmask(signal.SIG_BLOCK, kinds)
for _ in range(int(sys.argv[2])):
    for kind in kinds:
        os.kill(os.getpid(), kind)
signal.pthread_sigmask(signal.SIG_UNBLOCK, kinds)
print(calls)
