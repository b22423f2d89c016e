"""room.py N: two datagrams are sent, "abcdefgh" and "xyz". The first call receives at most N bytes. What does the second
one get: the rest of the first datagram, or the next one?
"""
import socket
import sys

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
receiver.settimeout(5)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for word in (b"abcdefgh", b"xyz"):
    sender.sendto(word, receiver.getsockname())
receiver.recv(int(sys.argv[1]))
print("next" if receiver.recv(4096) == b"xyz" else "rest")
