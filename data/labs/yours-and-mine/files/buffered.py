"""buffered.py N: prints one line, and then forks N times in a row. Its output goes into a pipe. How many lines come out?"""
import os
import sys

print("hello")
for _ in range(int(sys.argv[1])):
    os.fork()
