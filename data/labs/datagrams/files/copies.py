"""copies.py data|answer: a sender sends one datagram, and again whenever it has waited in vain for the answer. The wire loses
the first datagram ("data"), or the first answer ("answer"). How many copies of it does the receiver get?
"""
import os
import socket
import sys

lost = sys.argv[1]
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("127.0.0.1", 0))
result, answer = os.pipe()
child = os.fork()
if child == 0:
    copies = 0
    receiver.settimeout(2)
    try:
        while True:
            data, address = receiver.recvfrom(100)
            if data == b"end":
                break
            copies += 1
            if not (lost == "answer" and copies == 1):
                receiver.sendto(b"got it", address)
    finally:
        os.write(answer, str(copies).encode())
        os._exit(0)
sender.settimeout(0.3)
for attempt in range(10):
    if not (lost == "data" and attempt == 0):
        sender.sendto(b"hello", receiver.getsockname())
    try:
        sender.recv(100)
        break
    except TimeoutError:
        continue
sender.sendto(b"end", receiver.getsockname())
os.waitpid(child, 0)
print(os.read(result, 10).decode())
