"""Serve the small project where Granian would."""

from __future__ import annotations

import os
import signal
import socket
import sys
from wsgiref.simple_server import WSGIServer, make_server

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paperless.settings")
host, port = os.environ["GRANIAN_HOST"], int(os.environ["GRANIAN_PORT"])
# The first process of a container has no default for it (pid_namespaces(7)).
if os.getpid() == 1:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("serving", *sys.argv[1:], flush=True)


class Server(WSGIServer):
    address_family = socket.AF_INET6 if ":" in host else socket.AF_INET


with make_server(host, port, get_wsgi_application(), server_class=Server) as server:
    server.serve_forever()
