"""cut.py cuts|short|long COMMAND …: feeds a stream of frames to the command, cut into pieces in many ways.

Each piece is sent only once the command has taken the one before, so that no read of it ever gets two.
"""
import array
import fcntl
import itertools
import os
import select
import socket
import struct
import subprocess
import sys
import termios
import time

WORKERS = 4
# The last one is a character of two bytes, which may be cut apart.
MESSAGES = ["a", "", "é"]
# A length of one byte is not enough for these, and the first is the longest allowed.
LARGE = ["x" * 1000, "y" * 300]


def frame(text):
    return struct.pack(">I", len(text.encode())) + text.encode()


STREAM = b"".join(frame(text) for text in MESSAGES)


def lines(texts):
    return "".join(f"{len(text.encode())} {text}".rstrip() + "\n" for text in texts)


def short(text):
    return text if len(text) <= 200 else text[:200] + "…"


def feed(command, pieces):
    """Starts the command and sends the pieces, one after the other, as the command takes them."""
    ours, theirs = socket.socketpair()
    child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE)
    unread = array.array("i", [0])
    deadline = time.monotonic() + 10
    try:
        for piece in pieces:
            ours.sendall(piece)
            while time.monotonic() < deadline and child.poll() is None:
                fcntl.ioctl(theirs, termios.FIONREAD, unread)
                if unread[0] == 0:
                    break
                time.sleep(0.0005)
    except OSError:
        pass  # it has ended, and reads no more
    theirs.close()
    ours.shutdown(socket.SHUT_WR)
    return child, ours


def finish(child, ours):
    try:
        out, _ = child.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        out, _ = child.communicate()
        return out.decode(errors="replace"), "never"
    finally:
        ours.close()
    return out.decode(errors="replace"), child.returncode


def wrong(pieces, expected, found):
    said = short(", ".join(piece.hex(" ") for piece in pieces))
    texts = short(expected[0].rstrip()), short(found[0].rstrip())
    print(f"the pieces: {said}\nexpected exit {expected[1]} and:\n{texts[0]}\nfound exit {found[1]} and:\n{texts[1]}")
    sys.exit(1)


def check(cases, command):
    """Tries each case: pieces, and what is expected. Several at once: most of the time is that of starting."""
    from concurrent.futures import ThreadPoolExecutor

    def one(case):
        return finish(*feed(command, case[0]))

    with ThreadPoolExecutor(WORKERS) as pool:
        for (pieces, expected), found in zip(cases, pool.map(one, cases)):
            # Trailing spaces do not count.
            tidy = "".join(line.rstrip() + "\n" for line in found[0].splitlines())
            if (tidy, found[1]) != expected:
                pool.shutdown(wait=False, cancel_futures=True)
                wrong(pieces, expected, found)


def pieces_at(places):
    ends = [0, *places, len(STREAM)]
    return [STREAM[a:b] for a, b in itertools.pairwise(ends)]


what, command = sys.argv[1], sys.argv[2:]
every = range(1, len(STREAM))
if what == "cuts":
    # In up to three pieces in every way, and byte by byte.
    places = [c for n in range(3) for c in itertools.combinations(every, n)] + [tuple(every)]
    cases = [(pieces_at(p), (lines(MESSAGES), 0)) for p in places]
    large = b"".join(map(frame, LARGE))
    cases += [([large[at : at + size] for at in range(0, len(large), size)], (lines(LARGE), 0)) for size in (70, len(large))]
    check(cases, command)
    print("right for every cut")
elif what == "short":
    ends = list(itertools.accumulate(len(frame(text)) for text in MESSAGES))
    cases = []
    for at in range(len(STREAM) + 1):
        whole = sum(end <= at for end in ends)
        cases.append(([STREAM[:at]] if at else [], (lines(MESSAGES[:whole]), 0 if at in (0, *ends) else 1)))
    check(cases, command)
    print("right for every end")
else:
    for length in (1001, 1 << 31, 0xFFFFFFFF):
        ours, theirs = socket.socketpair()
        child = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE)
        theirs.close()
        ours.sendall(frame("a") + struct.pack(">I", length))
        # The connection stays open: it must not wait for what it will refuse.
        found = finish(child, ours)
        if found != ("1 a\n", 2):
            wrong([frame("a"), struct.pack(">I", length)], ("1 a\n", 2), found)
    print("refused")
