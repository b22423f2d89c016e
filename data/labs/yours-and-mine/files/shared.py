"""A child changes everything that it has from its parent. What does the parent see changed? Each in a fork of its own."""
import mmap
import os
import signal

variable = [1]
shared = mmap.mmap(-1, 4096, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
private = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
fd = os.open("letters", os.O_RDWR)


def is_open():
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False


def change_variable():
    variable[0] = 2


def change_mapping():
    shared[0] = 2


def change_private():
    private[0] = 2


def change_content():
    os.pwrite(fd, b"X", 0)


THINGS = {
    "variable": (change_variable, lambda: variable[0]),
    "mapping": (change_mapping, lambda: shared[0]),
    "private": (change_private, lambda: private[0]),
    "content": (change_content, lambda: os.pread(fd, 1, 0)),
    "offset": (lambda: os.lseek(fd, 5, os.SEEK_SET), lambda: os.lseek(fd, 0, os.SEEK_CUR)),
    "close": (lambda: os.close(fd), is_open),
    "directory": (lambda: os.chdir("/"), os.getcwd),
    "environment": (lambda: os.environ.update(WORD="x"), lambda: os.environ.get("WORD")),
    "handler": (lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN), lambda: signal.getsignal(signal.SIGUSR1)),
}
for name, (change, look) in THINGS.items():
    before = look()
    child = os.fork()
    if child == 0:
        change()
        os._exit(0 if look() != before else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child did not change {name}"
    if look() != before:
        print(name)
