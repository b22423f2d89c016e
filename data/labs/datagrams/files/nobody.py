"""Sends one datagram to a port where nobody listens. What does that very call say?"""
import socket

taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("127.0.0.1", 0))
address = taken.getsockname()
taken.close()  # now nobody has this port
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect(address)
sender.settimeout(2)
try:
    print("sent" if sender.send(b"hello") == 5 else "refused")
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("waits")
