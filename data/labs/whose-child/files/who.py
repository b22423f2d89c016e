"""Runs family.py and says by name who is whose child."""
import subprocess
import sys

lines = subprocess.run([sys.executable, "family.py", sys.argv[1]], capture_output=True, text=True, check=True).stdout
people = [line.split() for line in lines.splitlines()]
names = {pid: name for name, pid, _ in people}
for name, _, parent in people:
    if parent in names:
        print(name, names[parent])
