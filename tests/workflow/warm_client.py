"""Hands a command to the server of `warm`, and ends as it ends. Imports little, to start fast."""

import json
import os
import signal
import socket
import sys

server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect(sys.argv[1])
request = {
    "folder": os.getcwd(),
    "environment": dict(os.environ),
    "arguments": sys.argv[2:],
}
socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
process = int(server.recv(100))
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: os.kill(process, number))
status = server.recv(100)
sys.exit(int(status or 1))  # nothing comes if the process was killed
