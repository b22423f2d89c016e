"""A family of processes: A is the first one. In "B.C D", A starts B, B starts C, and then A starts D."""
import os
import sys


def say(name):
    os.write(1, f"{name} {os.getpid()} {os.getppid()}\n".encode())


def start(names):
    """Starts the first of these names; that process starts the rest."""
    child = os.fork()
    if child == 0:
        say(names[0])
        if names[1:]:
            start(names[1:])
        os._exit(0)
    os.waitpid(child, 0)


say("A")
for branch in sys.argv[1].split():
    start(branch.split("."))
