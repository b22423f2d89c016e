"""kill.py "B C A": three processes wait for each other. Which of them can be killed so that the other two come to an end?

Each is tried, with processes of its own.
"""
import os
import sys
import time

from three import NAMES, end, start

for victim in NAMES:
    pids = start(sys.argv[1])
    os.kill(pids[victim], 9)
    others = [pid for name, pid in pids.items() if name != victim]
    deadline = time.monotonic() + 1
    ended = set()
    while len(ended) < 2 and time.monotonic() < deadline:
        for pid in others:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                ended.add(pid)
        time.sleep(0.01)
    if len(ended) == 2:
        print(victim)
    end(pids)
