"""grandparent starts parent, parent starts child and exits. The grandparent is a subreaper. Whose child is the child?"""
import ctypes
import os

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
grandparent = os.getpid()
ready, tell = os.pipe()
parent = os.fork()
if parent == 0:
    wait, gone = os.pipe()
    before = os.getpid()
    if os.fork() == 0:
        os.close(gone)
        os.read(wait, 1)  # ends when the parent has ended, and with it its end of the pipe
        while os.getppid() == before:
            pass
        names = {before: "parent", grandparent: "grandparent", 1: "init"}
        os.write(tell, f"child {names.get(os.getppid(), 'another')}\n".encode())
        os._exit(0)
    os._exit(0)
os.close(tell)
os.waitpid(parent, 0)
print(os.read(ready, 100).decode().strip())
print("parent grandparent")
os.wait()
