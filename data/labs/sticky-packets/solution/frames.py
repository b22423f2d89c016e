"""Reads frames from standard input, which is a stream socket. A frame is a length (four bytes, the highest first) and so
many bytes of text. Prints a line for each: its length, a space, and the text.

Exit status: 0 if the stream ends between two frames, 1 if it ends amid one, 2 if a frame is longer than 1000.
"""
import socket
import sys

LONGEST = 1000
stream = socket.socket(fileno=0)


def exactly(count):
    """So many bytes, however many calls it takes; fewer if the stream ends first."""
    data = b""
    while len(data) < count:
        piece = stream.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data


while header := exactly(4):
    if len(header) < 4:
        sys.exit(1)
    length = int.from_bytes(header, "big")
    if length > LONGEST:
        sys.exit(2)
    text = exactly(length)
    if len(text) < length:
        sys.exit(1)
    print(length, text.decode(), flush=True)
