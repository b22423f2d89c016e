# A file is replaced while another reads it.
import os
if os.fork() == 0:
    with open("t", "w") as file:
        file.write("22")
    os.replace("t", "a")
    os._exit(0)
text = open("a").read()
os.wait()
os._exit(len(text))
