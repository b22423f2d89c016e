"""With TCP_NODELAY every small piece is sent at once. Three are sent, a moment apart; then one call receives. Are they
apart, or together?
"""
import socket
import time

with socket.create_server(("127.0.0.1", 0)) as listener:
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()
sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for word in (b"one", b"two", b"three"):
    sender.send(word)
    time.sleep(0.05)
print("together" if receiver.recv(4096) == b"onetwothree" else "apart")
