"""Parent and child write letters into one file, one after the other."""
import os

log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(log, b"a")
child = os.fork()
if child == 0:
    os.write(log, b"b")
    os._exit(0)
os.write(log, b"c")
os.waitpid(child, 0)
os.write(log, b"d")
