"""hold.py PROCLAB nobody|killed "LOCK, LOCK …": which of these locks are right in every schedule of two buyers and one
ticket, if nobody is killed, or if one buyer may be killed at any step? Each is explored.
"""
import json
import subprocess
import sys

proclab, kills, locks = sys.argv[1:]
for lock in locks.split(", "):
    command = [proclab, "explore", "tickets", "--buyers", "2", "--stock", "1", "--no-search", "--store", "rename"]
    command += ["--reduce", "--lock", lock, "--format", "json"]
    if kills == "killed":
        command += ["--kills", "1"]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode not in (0, 3):
        sys.exit(ran.stderr)
    answer = json.loads(ran.stdout)
    if not answer["complete"]:
        sys.exit(f"{lock}: the exploration did not end")
    if {outcome["verdict"] for outcome in answer["outcomes"]} == {"ok"}:
        print(lock)
