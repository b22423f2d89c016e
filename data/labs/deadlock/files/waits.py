"""waits.py "B C A": A waits for the lock of B, B for that of C, C for that of A. The kernel says who waits for whom."""
import sys

from three import end, start, waiting

pids = start(sys.argv[1])
names = {pid: name for name, pid in pids.items()}
for waiter, holder in sorted(waiting().items()):
    print(names[waiter], names[holder])
end(pids)
