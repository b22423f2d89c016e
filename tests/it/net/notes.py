"""The network programs of the notes, their typos mended, as peers for the tests.

    notes.py PROGRAM ROLE ADDRESS [--split]

A server's first line is `listening on ADDRESS`. `--split` sends every byte by itself. What stands in
the place of `input()` is a line of the standard input; without one the program ends.
"""

import hashlib
import json
import os
import socket
import socketserver
import struct
import sys
import time

SPLIT = "--split" in sys.argv


def say(*what):
    print(*what, flush=True)


def ask():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return line.rstrip("\n")


def send(sk, data):
    if not SPLIT:
        sk.sendall(data)
        return
    sk.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(data)):
        sk.sendall(data[i : i + 1])
        if len(data) < 200:
            time.sleep(0.002)


def recv_exact(sk, n):
    data = b""
    while len(data) < n:
        piece = sk.recv(n - len(data))
        if not piece:
            break
        data += piece
    return data


def listener(address):
    host, port = address.rsplit(":", 1)
    sk = socket.socket()
    sk.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sk.bind((host, int(port)))
    sk.listen()
    say("listening on %s:%d" % sk.getsockname())
    return sk


def connected(address):
    host, port = address.rsplit(":", 1)
    sk = socket.socket()
    sk.connect((host, int(port)))
    return sk


def chat_serve(address):
    sk = listener(address)
    conn, addr = sk.accept()
    while True:
        msg = ask()
        send(conn, msg.encode("utf-8"))
        if msg.upper() == "Q":
            break
        content = conn.recv(1024).decode("utf-8")
        if content.upper() == "Q":
            break
        say(content)
    conn.close()
    sk.close()


def chat_connect(address):
    sk = connected(address)
    while True:
        ret = sk.recv(1024).decode("utf-8")
        if ret.upper() == "Q":
            break
        say(ret)
        msg = ask()
        send(sk, msg.encode("utf-8"))
        if msg.upper() == "Q":
            break
    sk.close()


def udp_serve(address):
    host, port = address.rsplit(":", 1)
    sk = socket.socket(type=socket.SOCK_DGRAM)
    sk.bind((host, int(port)))
    say("listening on %s:%d" % sk.getsockname())
    while True:
        msg, client_addr = sk.recvfrom(1024)
        say(msg.decode("utf-8"))
        sk.sendto("收到".encode("utf-8"), client_addr)


def udp_connect(address):
    host, port = address.rsplit(":", 1)
    sk = socket.socket(type=socket.SOCK_DGRAM)
    sk.settimeout(10)
    while True:
        content = ask()
        if content.upper() == "Q":
            break
        data = content.encode("utf-8")
        for piece in [data[i : i + 1] for i in range(len(data))] if SPLIT else [data]:
            sk.sendto(piece, (host, int(port)))
            msg, addr = sk.recvfrom(1024)
            if msg.decode("utf-8").upper() == "Q":
                break
            say(msg.decode("utf-8"))
    sk.close()


def sticky_serve(address):
    """Reads as they come, to the end of the stream."""
    conn, addr = listener(address).accept()
    content = conn.recv(1024)
    while content:
        say(content.decode("utf-8"))
        content = conn.recv(1024)
    conn.close()


def sticky_connect(address):
    sk = connected(address)
    for i in range(20):
        send(sk, ("message %d;" % (i + 1)).encode("utf-8"))
    sk.close()


def framed_serve(address):
    conn, addr = listener(address).accept()
    num = recv_exact(conn, 4)
    while num:
        say(recv_exact(conn, struct.unpack("i", num)[0]).decode("utf-8"))
        num = recv_exact(conn, 4)
    conn.close()


def framed_connect(address):
    sk = connected(address)
    for i in range(20):
        bytes_msg = ("message %d;" % (i + 1)).encode("utf-8")
        send(sk, struct.pack("i", len(bytes_msg)))
        send(sk, bytes_msg)
    sk.close()


def frames_serve(address):
    sk = listener(address)
    conn, addr = sk.accept()
    bytes_msg = "Parallel".encode("utf-8")
    send(conn, struct.pack("i", len(bytes_msg)))
    send(conn, bytes_msg)
    conn.close()
    sk.close()


def frames_connect(address):
    sk = connected(address)
    num = struct.unpack("i", recv_exact(sk, 4))[0]
    say(recv_exact(sk, num).decode("utf-8"))
    sk.close()


def file_send(conn, filepath):
    dic = {"filename": os.path.basename(filepath), "filesize": os.path.getsize(filepath)}
    bytes_dic = json.dumps(dic).encode("utf-8")
    send(conn, struct.pack("i", len(bytes_dic)))
    send(conn, bytes_dic)
    with open(filepath, "rb") as f:
        send(conn, f.read())
    conn.close()


def file_receive(conn, folder):
    num = struct.unpack("i", recv_exact(conn, 4))[0]
    dic = json.loads(recv_exact(conn, num).decode("utf-8"))
    with open(os.path.join(folder, dic["filename"]), "wb") as f:
        left = dic["filesize"]
        while left:
            content = conn.recv(min(left, 1 << 20))
            if not content:
                sys.exit("the sender closed too early")
            f.write(content)
            left -= len(content)
    conn.close()
    say("received", dic["filename"], dic["filesize"])


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        msg = self.request.recv(1024).decode("utf-8")
        send(self.request, msg.encode("utf-8"))


def echo_serve(address):
    host, port = address.rsplit(":", 1)
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server = socketserver.ThreadingTCPServer((host, int(port)), Echo)
    say("listening on %s:%d" % server.server_address)
    server.serve_forever()


def lines_connect(address):
    """The clients of echo and upper: send, receive, print."""
    sk = connected(address)
    while True:
        line = sys.stdin.readline()
        if not line:
            break
        data = line.rstrip("\n").encode("utf-8")
        send(sk, data)
        say(recv_exact(sk, len(data)).decode("utf-8"))
    sk.close()


def upper_serve(address):
    sk = listener(address)
    sk.setblocking(False)
    conn_l = []
    del_l = []
    while True:
        try:
            conn, addr = sk.accept()
            conn.setblocking(False)
            conn_l.append(conn)
        except BlockingIOError:
            for c in conn_l:
                try:
                    msg = c.recv(1024).decode("utf-8")
                    if not msg:
                        del_l.append(c)
                        continue
                    send(c, msg.upper().encode("utf-8"))
                except BlockingIOError:
                    pass
            for c in del_l:
                conn_l.remove(c)
                c.close()
            del_l.clear()


def get_md5(secret_key, randseq):
    md5 = hashlib.md5(secret_key)
    md5.update(randseq)
    return md5.hexdigest()


def auth_serve(address):
    sk = listener(address)
    while True:
        conn, addr = sk.accept()
        randseq = os.urandom(32)
        send(conn, randseq)
        ret = recv_exact(conn, 32).decode("utf-8")
        if ret == get_md5(b"alexsb", randseq):
            say("是合法的客户端")
            while True:
                msg = conn.recv(1024).decode("utf-8")
                if not msg:
                    break
                send(conn, msg.upper().encode("utf-8"))
        else:
            say("不是合法的客户端")
        conn.close()


def auth_connect(address):
    sk = connected(address)
    randseq = recv_exact(sk, 32)
    send(sk, get_md5(b"alexsb", randseq).encode("utf-8"))
    for i in range(3):
        send(sk, b"hello")
        say(recv_exact(sk, 5).decode("utf-8"))
    sk.close()


PROGRAMS = {
    ("chat", "serve"): chat_serve,
    ("chat", "connect"): chat_connect,
    ("udp", "serve"): udp_serve,
    ("udp", "connect"): udp_connect,
    ("sticky", "serve"): sticky_serve,
    ("sticky", "connect"): sticky_connect,
    ("framed", "serve"): framed_serve,
    ("framed", "connect"): framed_connect,
    ("frames", "serve"): frames_serve,
    ("frames", "connect"): frames_connect,
    ("echo", "serve"): echo_serve,
    ("echo", "connect"): lines_connect,
    ("upper", "serve"): upper_serve,
    ("upper", "connect"): lines_connect,
    ("auth", "serve"): auth_serve,
    ("auth", "connect"): auth_connect,
    ("file-send", "serve"): lambda address: file_send(listener(address).accept()[0], ask()),
    ("file-send", "connect"): lambda address: file_send(connected(address), ask()),
    ("file-receive", "serve"): lambda address: file_receive(listener(address).accept()[0], ask()),
    ("file-receive", "connect"): lambda address: file_receive(connected(address), ask()),
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1], sys.argv[2]](sys.argv[3])
