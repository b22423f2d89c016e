"""A child reads from a pipe until it ends. The parent writes one word and closes its end. But does another hold one?"""
import os
import select
import sys

reader, writer = os.pipe()
said, tell = os.pipe()
child = os.fork()
if child == 0:
    os.close(said)
    if sys.argv[1] == "nobody":
        os.close(writer)
    while os.read(reader, 100):
        pass
    os.write(tell, b"ends")
    os._exit(0)
os.close(reader)
os.close(tell)
os.write(writer, b"word")
os.close(writer)
ready, _, _ = select.select([said], [], [], 1.0)
print("ends" if ready else "hangs")
os.kill(child, 9)
os.waitpid(child, 0)
