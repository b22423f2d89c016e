"""three.py FILE: what `cat FILE | sort | uniq` does, with two pipes and three children. Each process keeps only the two ends that it uses."""
import os
import sys

commands = [["cat", sys.argv[1] if len(sys.argv) > 1 else "words"], ["sort"], ["uniq"]]
first, second = os.pipe(), os.pipe()
for fd in first + second:
    os.set_inheritable(fd, True)
inputs = [0, first[0], second[0]]
outputs = [first[1], second[1], 1]
children = []
for command, input, output in zip(commands, inputs, outputs):
    child = os.fork()
    if child == 0:
        os.dup2(input, 0)
        os.dup2(output, 1)
        for fd in first + second:
            os.close(fd)
        os.execvp(command[0], command)
    children.append(child)
for fd in first + second:
    os.close(fd)
status = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
sys.exit(max(status))
