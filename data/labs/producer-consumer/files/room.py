"""room.py N: a bounded queue with room for N items, and nobody who takes any. How many can be put before one has to wait?"""
import multiprocessing
import queue
import sys

bounded = multiprocessing.Queue(int(sys.argv[1]))
put = 0
try:
    while True:
        bounded.put("item", block=False)
        put += 1
except queue.Full:
    print(put)
bounded.cancel_join_thread()
