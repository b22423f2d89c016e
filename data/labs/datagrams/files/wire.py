"""wire.py drop|double|swap: two datagrams, a and b, go through a wire with this fault, which strikes at most once, or
not at all. What can arrive? Every possibility is carried out, with real datagrams.
"""
import socket
import sys


def carry(fault, at, sent):
    """What the wire passes on, if the fault strikes at this datagram; -1: nowhere."""
    if at < 0:
        return sent
    if fault == "drop":
        return sent[:at] + sent[at + 1 :]
    if fault == "double":
        return sent[: at + 1] + sent[at:]
    return sent[:at] + sent[at : at + 2][::-1] + sent[at + 2 :]


for at in (-1, 0, 1):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(5)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    passed = carry(sys.argv[1], at, ["a", "b"])
    for word in passed:
        sender.sendto(word.encode(), receiver.getsockname())
    print(" ".join(receiver.recv(100).decode() for _ in passed))
