"""order.py producer|consumer|nobody: a buffer with room for one item, two items, and three semaphores:

empty: how many places are free; full: how many items there are; mutex: who may touch the buffer.

The named one takes the mutex first, and then waits for a place or an item. A semaphore is a pipe here: a byte in it is a
permit, so a read from it waits for one.
"""
import os
import sys


class Semaphore:
    def __init__(self, permits):
        self.reader, self.writer = os.pipe()
        os.write(self.writer, b"x" * permits)

    def wait(self):
        os.read(self.reader, 1)

    def post(self):
        os.write(self.writer, b"x")


def both(first, second, swapped):
    for semaphore in (second, first) if swapped else (first, second):
        semaphore.wait()


wrong = sys.argv[1]
empty, full, mutex = Semaphore(1), Semaphore(0), Semaphore(1)
if os.fork() == 0:
    for _ in range(2):
        both(empty, mutex, wrong == "producer")
        mutex.post()
        full.post()
    os._exit(0)
if os.fork() == 0:
    for _ in range(2):
        both(full, mutex, wrong == "consumer")
        mutex.post()
        empty.post()
    os._exit(0)
os.wait()
os.wait()
