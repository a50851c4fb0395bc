"""A real nginx on ports of its own, started with a configuration of the project."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .constants import PATIENCE
from .servers import tls_for

_MAIN = "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"


class Nginx:
    """An nginx in a folder, and a client that believes its certificate for `host`.

    `changes` replaces what is different here, such as addresses and paths; all of it must be in `config`.
    """

    def __init__(self, folder: Path, config: str, changes: Mapping[str, str], host: str, port: int) -> None:
        self.port, self.host = port, host
        tls_for(folder, host)
        self.certificate = folder / f"{host}.pem"
        self._trust = ssl.create_default_context(cafile=str(self.certificate))
        for written, here in changes.items():
            assert written in config, written
            config = config.replace(written, here)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
        path = folder / "nginx.conf"
        path.write_text(_MAIN.format(folder=folder) + config.replace("http {\n", f"http {{\n{temporary}", 1))
        found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert found, "nginx is missing: sh tests/browser/install.sh"
        self.command = [found, "-p", str(folder), "-c", str(path)]
        self._process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        return self._trust.wrap_socket(plain, server_hostname=self.host)

    def ask(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.sock = self.connect()
        connection.request(method, path, body, {"Host": f"{self.host}:{self.port}", **(headers or {})})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, response.headers, answer

    def get(self, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        return self.ask("GET", path, headers=headers)

    def wait_until_it_answers(self) -> None:
        for _ in range(100):
            assert self._process.poll() is None, "nginx ended"
            try:
                return self.connect().close()
            except ConnectionRefusedError:
                self._process_may_start()
        raise AssertionError("nginx does not answer")

    def _process_may_start(self) -> None:
        try:
            self._process.wait(0.1)
        except subprocess.TimeoutExpired:
            return

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
