"""A zombie is sent SIGKILL. What is it then?"""
import os
import signal
import time

child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped
os.kill(child, signal.SIGKILL)
time.sleep(0.05)
try:
    with open(f"/proc/{child}/stat") as f:
        letter = f.read().rsplit(")", 1)[1].split()[0]
    print("zombie" if letter == "Z" else "alive")
except FileNotFoundError:
    print("gone")
os.waitpid(child, 0)
