"""sender.py PORT: sends the lines of its input to 127.0.0.1:PORT, one datagram each: "0 first line", "1 second line", …
The receiver answers each with "ack N".

It sends and hopes.
"""
import socket
import sys

port = int(sys.argv[1])
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number, line in enumerate(sys.stdin):
    wire.sendto(f"{number} {line.rstrip()}".encode(), ("127.0.0.1", port))
    wire.recv(100)
