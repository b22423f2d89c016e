# Two processes create one file, and one of them fails.
import os
for _ in range(2):
    if os.fork() == 0:
        try:
            open("made", "x").close()
        except FileExistsError:
            os._exit(1)
        os._exit(0)
os.wait()
os.wait()
