"""steps.py PROGRAM: one consumer is stopped between two instructions of its own, while another eats; and so at each place
up to the first item. Semaphores that nobody has to wait for are no system calls, so no other test can stop there.

Only for compiled programs: the instructions of an interpreter are not the student's.
"""
import ctypes
import os
import signal
import sys
import time

TRACEME, CONT, KILL, SINGLESTEP, SETOPTIONS, GETREGSET = 0, 7, 8, 9, 0x4200, 0x4204
OPTIONS = 0x100000 | 0x2 | 0x4  # they die with this process; each fork is told
ALL = 0x40000000  # __WALL
FUTEX = {"x86_64": "202", "aarch64": "98"}
COUNTER = {"x86_64": 16, "aarch64": 32}  # where the instruction pointer is among the registers
PLACES, PATIENCE = 150, 15
machine = os.uname().machine
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


registers = (ctypes.c_uint64 * 64)()
vector = Vector(ctypes.addressof(registers), ctypes.sizeof(registers))


def place(pid):
    libc.ptrace(GETREGSET, pid, 1, ctypes.addressof(vector))
    return registers[COUNTER[machine]]


def own_text(pid, program):
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            words = line.split()
            if len(words) > 5 and "x" in words[1] and words[5] == program:
                return [int(end, 16) for end in words[0].split("-")]
    return [0, 0]


class Meal:
    """One run, with two items for two consumers."""

    def __init__(self, program):
        self.program, self.children, self.living = program, [], set()
        self.said, said = os.pipe()
        os.set_blocking(self.said, False)
        self.text = b""
        self.main = os.fork()
        if self.main == 0:
            os.dup2(said, 1)
            libc.ptrace(TRACEME, 0, 0, 0)
            os.execv(program, [program, "2", "2", "2"])
        os.close(said)
        self.living.add(self.main)
        os.waitpid(self.main, ALL)
        libc.ptrace(SETOPTIONS, self.main, 0, OPTIONS)
        libc.ptrace(CONT, self.main, 0, 0)

    def event(self, held, block=True):
        """The next stop of a process in `held`, whatever else goes on; None if there is none yet, or none to come."""
        while self.living:
            pid, status = os.waitpid(-1, ALL | (0 if block else os.WNOHANG))
            if pid == 0:
                return None
            if not os.WIFSTOPPED(status):
                self.living.discard(pid)
                if pid in held:
                    return pid, None
                continue
            if pid != self.main and pid not in self.children:
                self.children.append(pid)
                self.living.add(pid)
                if len(self.children) <= 2:
                    if len(self.children) == 2 and not held:
                        return pid, 0
                    continue
            stop = os.WSTOPSIG(status)
            if pid in held:
                return pid, stop
            told = stop == signal.SIGTRAP or stop == signal.SIGSTOP
            libc.ptrace(CONT, pid, 0, 0 if told else stop)
        return None

    def step(self, pid, places):
        """Lets it execute until it has been at so many places of its own; whether it has not ended before."""
        low, high = own_text(pid, self.program)
        stop = 0
        while places > 0:
            libc.ptrace(SINGLESTEP, pid, 0, 0 if stop in (signal.SIGTRAP, signal.SIGSTOP) else stop)
            event = self.event([pid])
            if event is None or event[1] is None:
                return False
            stop = event[1]
            places -= low <= place(pid) < high
        return True

    def eat(self, pid):
        """Lets it run until it ends, or has to wait for a semaphore."""
        libc.ptrace(CONT, pid, 0, 0)
        end = time.monotonic() + 0.3
        while time.monotonic() < end and pid in self.living:
            event = self.event([pid], block=False)
            if event and event[1] is not None:
                libc.ptrace(CONT, pid, 0, 0 if event[1] == signal.SIGTRAP else event[1])
            try:
                with open(f"/proc/{pid}/syscall") as call:
                    if call.read().split()[0] == FUTEX[machine]:
                        return
            except OSError:
                return
            time.sleep(0.001)

    def finish(self):
        end = time.monotonic() + 5
        while self.living and time.monotonic() < end:
            self.event([], block=False)
            time.sleep(0.001)
        ended = not self.living
        self.clear()
        return ended

    def clear(self):
        for pid in list(self.living):
            os.kill(pid, signal.SIGKILL)
        while self.living:
            try:
                pid, status = os.waitpid(-1, ALL)
            except ChildProcessError:
                break
            if not os.WIFSTOPPED(status):
                self.living.discard(pid)

    def words(self):
        try:
            self.text += os.read(self.said, 4096)
        except BlockingIOError:
            pass
        return sorted(self.text.decode(errors="replace").split("\n"))


def main():
    if len(sys.argv) != 2 or machine not in FUTEX:
        return
    program = os.path.realpath(sys.argv[1])
    begin = time.monotonic()
    for places in range(1, PLACES):
        if time.monotonic() - begin > PATIENCE:
            return
        meal = Meal(program)
        if meal.event([]) is None or len(meal.children) < 2:
            meal.clear()
            return  # It has no two consumers that are processes.
        first, second = meal.children[:2]
        goes_on = meal.step(first, places)
        has_eaten = any(word.startswith("ate") for word in meal.words())
        meal.eat(second)
        libc.ptrace(CONT, first, 0, 0)
        ended = meal.finish()
        ate = [word for word in meal.words() if word.startswith("ate")]
        os.close(meal.said)
        if ate != ["ate 1", "ate 2"] or not ended:
            print(f"two items, two consumers; one is stopped after {places} of its instructions, while the other eats.")
            print("They print:", ", ".join(ate) or "nothing", "" if ended else "and do not end")
            sys.exit(1)
        if has_eaten or not goes_on:
            return


main()
