"""How `make run` serves the demo: threads for waiting, two processes, one private Redis for both."""

from config import PORT, SESSIONS_CORE_PUBLIC_ORIGIN

wsgi_app = "app:create_app()"
bind = f"localhost:{PORT}"
worker_class = "gthread"
workers = 2
threads = 16
# The private Redis is started once, by the parent, and ends with it.
preload_app = True
# Ctrl-C just as a request arrives can deadlock a thread worker in its signal handler; then it is killed after this.
graceful_timeout = 5
accesslog = None


def when_ready(server):
    """Say where the site is, once it answers."""
    print(f"Ready: {SESSIONS_CORE_PUBLIC_ORIGIN}", flush=True)


# Its administration socket would write into the home folder.
control_socket_disable = True
