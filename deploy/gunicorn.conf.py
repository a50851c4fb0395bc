"""How gunicorn serves the production application: in the image, and as a service of systemd."""

import os
import tempfile

# Where the workers leave their numbers for each other, so that /metrics is right whichever worker answers. It must be
# set before the application is imported. /tmp goes with the container, and with the service (PrivateTmp).
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="sessions-core-metrics-")

wsgi_app = "app:app"
bind = os.environ.get("BIND", "127.0.0.1:8000")
worker_class = "sessions_core.parts.operations.gunicorn_worker.Worker"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 16
# The port opens once the application is loaded. Until then nginx is refused, and asks the other group.
preload_app = True
graceful_timeout = 30
accesslog = None
# Its administration socket would write into the home folder.
control_socket_disable = True


def child_exit(server, worker):
    """Drop what only counts while a process lives."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)
