"""A child exits; its parent asks how."""
import os
import sys

child = os.fork()
if child == 0:
    os._exit(int(sys.argv[1]))
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
