# A child writes while its parent reads.
import os
child = os.fork()
if child == 0:
    with open("a", "w") as file:
        file.write("2")
    os._exit(0)
text = open("a").read()
os.waitpid(child, 0)
os._exit(len(text))
