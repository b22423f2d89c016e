"""together.py "a bc def": sends each word with a call of its own, over TCP. Once all have come, one call receives. How
many bytes does it get?
"""
import socket
import sys
import time

words = sys.argv[1].split()
with socket.create_server(("127.0.0.1", 0)) as listener:
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()
for word in words:
    sender.send(word.encode())
deadline = time.monotonic() + 5
total = sum(len(word) for word in words)
while len(receiver.recv(4096, socket.MSG_PEEK)) < total and time.monotonic() < deadline:
    time.sleep(0.01)
print(len(receiver.recv(4096)))
