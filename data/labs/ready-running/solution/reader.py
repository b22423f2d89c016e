"""Reads numbers, a line each, from standard input, and prints how many lines there were and their sum.

`read` blocks: the kernel takes the process off the processor until something is there.
"""
import sys

numbers = [int(line) for line in sys.stdin]
print(f"{len(numbers)} lines, sum {sum(numbers)}")
