"""A shell blocks SIGUSR1 and has a handler for SIGUSR2. Which of these does a program still find that it starts (fork, exec)?"""
import os
import signal
import sys

if len(sys.argv) > 1:
    mask = signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    handler = signal.getsignal(signal.SIGUSR2) != signal.SIG_DFL
    print({(True, True): "both", (True, False): "mask", (False, True): "handler"}.get((mask, handler), "neither"))
    sys.exit()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
signal.signal(signal.SIGUSR2, lambda signum, frame: None)
child = os.fork()
if child == 0:
    os.execv(sys.executable, [sys.executable, sys.argv[0], "started"])
os.waitpid(child, 0)
