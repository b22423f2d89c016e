"""first.py "a bc def": sends each word as a datagram of its own. Once all have come, one call receives at most 4096 bytes.
How many does it get?
"""
import socket
import sys

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
receiver.settimeout(5)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for word in sys.argv[1].split():
    sender.sendto(word.encode(), receiver.getsockname())
print(len(receiver.recv(4096)))
