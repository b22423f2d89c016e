"""header.py N: a length is sent as four bytes, the highest first (network byte order). What number does a program read
that takes the lowest first?
"""
import struct
import sys

header = struct.pack(">I", int(sys.argv[1]))
print(struct.unpack("<I", header)[0])
