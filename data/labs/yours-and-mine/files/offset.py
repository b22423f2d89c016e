"""offset.py before|after N: a file is opened before or after the fork. The child reads N bytes of it, and ends. Where
does the parent's next read begin?
"""
import os
import sys

when, n = sys.argv[1], int(sys.argv[2])
if when == "before":
    fd = os.open("letters", os.O_RDONLY)
child = os.fork()
if when == "after":
    fd = os.open("letters", os.O_RDONLY)
if child == 0:
    os.read(fd, n)
    os._exit(0)
os.waitpid(child, 0)
print(os.lseek(fd, 0, os.SEEK_CUR))
