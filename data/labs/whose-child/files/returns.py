"""What does fork return in the child? One process asks, the other waits."""
import os

pid = os.fork()
if pid == 0:
    words = {0: "zero", os.getpid(): "own", os.getppid(): "parent"}
    print(words.get(pid, "child"))
else:
    os.waitpid(pid, 0)
