# A pipe whose reader sees a byte or the end.
import os
read, write = os.pipe()
if os.fork() == 0:
    os.close(read)
    os.write(write, b"x")
    os._exit(0)
os.set_blocking(read, False)
try:
    n = len(os.read(read, 1))
except BlockingIOError:
    n = 2
os.wait()
os._exit(n)
