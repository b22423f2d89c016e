"""sender.py PORT: sends the lines of its input to 127.0.0.1:PORT, one datagram each: "0 first line", "1 second line", …
The receiver answers each with "ack N".

Stop and wait: the next line is sent once this one's own answer is there; an answer to an earlier one is passed over, and
what is not answered in time is sent again.
"""
import socket
import sys
import time

AGAIN = 0.1

port = int(sys.argv[1])
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def is_answered(number):
    """Waits for a while for the answer to this number."""
    deadline = time.monotonic() + AGAIN
    while (left := deadline - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            if wire.recv(100) == f"ack {number}".encode():
                return True
        except TimeoutError:
            return False
    return False


for number, line in enumerate(sys.stdin):
    while True:
        wire.sendto(f"{number} {line.rstrip()}".encode(), ("127.0.0.1", port))
        if is_answered(number):
            break
