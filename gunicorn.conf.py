"""How `make run` serves the demo: threads for waiting, two processes, one private Redis for both."""

import os
import shutil
import tempfile
from pathlib import Path

from config import PORT, SESSIONS_CORE_PUBLIC_ORIGIN

# Where the processes leave their numbers for each other, so that /metrics is right whoever answers. Named before the
# application is imported, which is when the library looks; one that is given is left to who gave it.
_METRICS, _OURS = "PROMETHEUS_MULTIPROC_DIR", "sessions-core-metrics-"
if _METRICS not in os.environ:  # a reload keeps what was counted
    os.environ[_METRICS] = tempfile.mkdtemp(prefix=_OURS)

# The part that measures; it may have been deleted.
_OPERATIONS = Path(__file__).parent / "sessions_core" / "parts" / "operations"

wsgi_app = "app:create_app()"
bind = f"localhost:{PORT}"
# Threads, and no client holds one for longer than ten seconds with a request that does not arrive.
worker_class = "sessions_core.parts.operations.gunicorn_worker.Worker" if _OPERATIONS.is_dir() else "gthread"
workers = 2
threads = 16
# The private Redis is started once, by the parent, and ends with the last process.
preload_app = True
# Ctrl-C just as a request arrives can deadlock a thread worker in its signal handler; then it is killed after this.
graceful_timeout = 5
accesslog = None


def when_ready(server):
    """Say where the site is, once it answers."""
    print(f"Ready: {SESSIONS_CORE_PUBLIC_ORIGIN}", flush=True)


# Its administration socket would write into the home folder.
control_socket_disable = True


def child_exit(server, worker):
    """Drop what only counts while a process lives."""
    if not _OPERATIONS.is_dir():
        return
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def on_exit(server):
    """Leave nothing behind, unless a new parent goes on with it (SIGUSR2)."""
    folder = Path(os.environ[_METRICS])
    if folder.name.startswith(_OURS) and not server.reexec_pid:
        shutil.rmtree(folder, ignore_errors=True)
