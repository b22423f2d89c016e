"""The search takes the lock, too: it never sees the file half-written."""
import json
from multiprocessing import Lock, Process


def search_ticket(user, lock):
    with lock:
        with open("ticket_count") as f:
            dic = json.load(f)
    print("%s: %s left" % (user, dic["count"]))


def buy_ticket(user, lock):
    with lock:
        with open("ticket_count") as f:
            dic = json.load(f)
        if dic["count"] > 0:
            print("%s has a ticket" % user)
            dic["count"] -= 1
        with open("ticket_count", "w") as f:
            json.dump(dic, f)


def task(user, lock):
    search_ticket(user, lock)
    buy_ticket(user, lock)


if __name__ == "__main__":
    lock = Lock()
    people = [Process(target=task, args=("user%s" % i, lock)) for i in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    raise SystemExit(max(person.exitcode for person in people))
