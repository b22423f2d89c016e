"""left.py buy: takes the lock and buys the one ticket in the file `stock`.
left.py hold: takes the lock, says so, and holds it for a long time.

The lock is a file that must not be there (O_EXCL). But a holder that is killed leaves it behind, and then nobody gets the
lock again.
"""
import os
import sys
import time


def lock():
    while True:
        try:
            os.close(os.open("lock", os.O_CREAT | os.O_EXCL))
            return
        except FileExistsError:
            time.sleep(0.01)


def unlock():
    os.unlink("lock")


lock()
if sys.argv[1] == "hold":
    print("holding", flush=True)
    time.sleep(60)
else:
    with open("stock") as f:
        count = int(f.read())
    if count > 0:
        with open("stock", "w") as f:
            f.write(f"{count - 1}\n")
    print("A has a ticket" if count > 0 else "A has no ticket")
unlock()
