"""Reads numbers, a line each, from standard input, and prints how many lines there were and their sum.

It is right, but look at it with `top` while nothing comes: it is busy all the time.
"""
import os

os.set_blocking(0, False)
text = b""
while True:
    try:
        piece = os.read(0, 4096)
    except BlockingIOError:
        continue  # nothing there yet: look again
    if not piece:
        break
    text += piece
numbers = [int(line) for line in text.split()]
print(f"{len(numbers)} lines, sum {sum(numbers)}")
