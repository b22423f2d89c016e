"""A child changes a variable that it has from its parent. Who sees the change?"""
import os

x = 1
child = os.fork()
if child == 0:
    x = 2
    os._exit(0 if x == 2 else 1)
_, status = os.waitpid(child, 0)
changed = os.waitstatus_to_exitcode(status) == 0
print("both" if x == 2 else "child" if changed else "neither")
