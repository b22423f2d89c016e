"""holder.py waits|killed COMMAND …: starts `COMMAND hold`, and once that says that it has the lock, `COMMAND buy`: while
it holds the lock, or after it was killed with SIGKILL.
"""
import signal
import subprocess
import sys

what, command = sys.argv[1], sys.argv[2:]
holder = subprocess.Popen(command + ["hold"], stdout=subprocess.PIPE, text=True)
said = holder.stdout.readline().strip()
if said != "holding":
    sys.exit(f"`hold` said {said!r}, and not: holding")
if what == "killed":
    holder.send_signal(signal.SIGKILL)
    holder.wait()
buyer = subprocess.Popen(command + ["buy"], stdout=subprocess.PIPE, text=True)
try:
    out, _ = buyer.communicate(timeout=1.5 if what == "waits" else 8)
    print(out, end="")
except subprocess.TimeoutExpired:
    buyer.kill()
    buyer.wait()
    print("the buyer waits")
holder.kill()
holder.wait()
