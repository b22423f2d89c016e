"""A child writes into a pipe that nobody reads any more, with the default action for SIGPIPE."""
import os
import signal

reader, writer = os.pipe()
child = os.fork()
if child == 0:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python itself ignores it
    os.close(reader)
    while True:
        os.write(writer, b"x")
os.close(reader)
os.close(writer)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print({0: "zero", -signal.SIGPIPE: "sigpipe"}.get(code, "epipe"))
