"""cuts.py N: in how many ways can a stream of N bytes arrive in pieces? All of them are made and counted."""
import sys


def cuts(stream):
    yield [stream]
    for at in range(1, len(stream)):
        for rest in cuts(stream[at:]):
            yield [stream[:at]] + rest


stream = "x" * int(sys.argv[1])
print(len({tuple(pieces) for pieces in cuts(stream)}))
