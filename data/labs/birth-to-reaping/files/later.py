"""A child exits at once. Its parent asks for the status only much later."""
import os
import sys
import time

child = os.fork()
if child == 0:
    os._exit(int(sys.argv[1]))
time.sleep(0.1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
