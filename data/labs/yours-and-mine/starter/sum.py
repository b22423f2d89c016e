"""sum.py N: N children; child i squares i, and the parent prints the sum of the squares.

It has two mistakes that fork makes easy: what a child puts into a list stays in the child, and what is in a buffer when
a process forks is in two buffers afterwards.
"""
import os
import sys

n = int(sys.argv[1]) if len(sys.argv) > 1 else 2
squares = []
print("adding")
for i in range(1, n + 1):
    if os.fork() == 0:
        squares.append(i * i)
        sys.exit(0)
for _ in range(n):
    os.wait()
print("sum", sum(squares))
