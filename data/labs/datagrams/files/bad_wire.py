"""bad_wire.py none|all COMMAND …: runs `COMMAND PORT` with lines as its input, three or (with none) twelve, over a wire
that does what a plan says.

The receiver answers each datagram "N TEXT" with "ack N". A plan names what happens to the first datagrams that pass the
wire, of both directions together: it is passed on, lost, doubled, or late (it comes after the next one of its direction).
Every plan with at most two faults among the first datagrams is tried, several at once.
"""
import itertools
import select
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WORKERS = 8
LINES = ["one", "two words", "three"]
MANY = [f"line {number}" for number in range(12)]
SECONDS = 8
# A copy that comes sooner than this after the one before was not sent because no answer came in time.
AT_ONCE = 0.01
SO_TIMESTAMPNS = 35


class Wire:
    """A receiver behind a wire."""

    def __init__(self, plan):
        self.plan = list(plan)
        self.late = {"data": [], "ack": []}
        self.got = []
        self.datagrams = 0
        self.strange = None
        self.sent = {}

    def is_sent(self, what, moment):
        """Something is sent at this moment, as the kernel has recorded it."""
        before, self.sent[what] = self.sent.get(what), moment
        if before is not None and moment - before < AT_ONCE:
            number = what.decode(errors="replace").partition(" ")[0]
            self.strange = f"{number} is sent again {(moment - before) * 1000:.1f} ms later: wait about 0.1 s before"

    def passes(self, way, what):
        """What comes out now, if this goes in."""
        fate = self.plan.pop(0) if self.plan else "."
        waiting, self.late[way] = self.late[way], []
        if fate == "late":
            self.late[way] = waiting + [what]
            return []
        return {".": [what], "lost": [], "double": [what, what]}[fate] + waiting

    def receive(self, data):
        """The receiver takes a datagram: its answer."""
        number, _, text = data.decode(errors="replace").partition(" ")
        if not number.isdigit():
            self.strange = self.strange or self.unexpected(data)
            return None
        if int(number) == len(self.got):
            self.got.append(text.rstrip("\n"))
        elif int(number) > len(self.got):
            self.strange = self.strange or self.unexpected(data)
            return None
        return f"ack {number}".encode()

    def unexpected(self, data):
        return f"the receiver got {data!r}, and expected number {len(self.got)}: one line at a time"


def one(plan, command, lines):
    """Why this plan goes wrong; None if it does not."""
    wire = Wire(plan)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        server.bind(("127.0.0.1", 0))
        child = subprocess.Popen(
            command + [str(server.getsockname()[1])], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        child.stdin.write("".join(line + "\n" for line in lines))
        child.stdin.close()
        deadline = time.monotonic() + SECONDS
        while child.poll() is None and time.monotonic() < deadline:
            if not select.select([server], [], [], 0.01)[0]:
                continue
            data, about, _, address = server.recvmsg(2000, 100)
            seconds, nanoseconds = struct.unpack("ll", about[0][2][:16]) if about else (time.time(), 0)
            wire.is_sent(data, seconds + nanoseconds / 1e9)
            wire.datagrams += 1
            if wire.datagrams > 500:
                break
            for arrived in wire.passes("data", data):
                answer = wire.receive(arrived)
                for ack in wire.passes("ack", answer) if answer else []:
                    try:
                        server.sendto(ack, address)
                    except OSError:
                        pass
        ended = child.poll()
        child.kill()
        child.wait()
    if wire.strange:
        return wire.strange
    if wire.got != lines:
        return f"the receiver has {wire.got}, and not {lines}"
    if ended is None:
        return "the sender does not come to an end" if wire.datagrams <= 500 else "the sender sends again without waiting"
    return None if ended == 0 else f"the sender ended with {ended}"


def plans(what):
    yield ()
    if what == "none":
        return
    faults = ("lost", "double", "late")
    for at in range(6):
        for fault in faults:
            yield (".",) * at + (fault,)
    for a, b in itertools.combinations(range(4), 2):
        for first, second in itertools.product(faults, faults):
            yield (".",) * a + (first,) + (".",) * (b - a - 1) + (second,)


what, command = sys.argv[1], sys.argv[2:]
all_plans, lines = list(plans(what)), MANY if what == "none" else LINES
with ThreadPoolExecutor(WORKERS) as pool:
    for plan, why in zip(all_plans, pool.map(lambda plan: one(plan, command, lines), all_plans)):
        if why:
            pool.shutdown(wait=False, cancel_futures=True)
            said = ", ".join(f"datagram {at + 1} is {fate}" for at, fate in enumerate(plan) if fate != ".")
            print(f"{said or 'nothing is lost'}: {why}")
            sys.exit(1)
print("right for every fault")
