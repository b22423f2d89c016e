"""stale.py proclab COMMAND …: kills a holder of the lock, then executes interleavings of two buyers that come afterwards."""
import shutil
import signal
import subprocess
import sys

proclab, command = sys.argv[1], sys.argv[2:]
EXECUTIONS = "30"
CHECK = """n=$(printf '%s\\n' "$STDOUT" | grep -c 'has a ticket')
test "$n" = 1 || { echo "$n tickets were sold, and there was 1"; exit 1; }
test "$(cat stock)" = 0 || { echo "the file says '$(cat stock)'"; exit 1; }"""

holder = subprocess.Popen(command + ["hold"], stdout=subprocess.PIPE, text=True, start_new_session=True)
holder.stdout.readline()
holder.send_signal(signal.SIGKILL)
holder.wait()
# In a copy: does a buyer get the lock at all?
shutil.copytree(".", "copy")
try:
    subprocess.run(command + ["buy"], cwd="copy", stdout=subprocess.DEVNULL, timeout=3)
except subprocess.TimeoutExpired:
    sys.exit("a holder was killed, and then a buyer waits for ever")
shutil.rmtree("copy")
buyers = ["sh", "-c", '"$@" buy & "$@" buy & wait', "sh", *command]
search = [proclab, "explore", "--check", CHECK, "--budget", EXECUTIONS, "--dir", ".", "--", *buyers]
ran = subprocess.run(search, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
if ran.returncode:
    print(ran.stdout)
    sys.exit(1)
print("right")
