"""What is in Dockerfile, compose.yaml and deploy/: parsed, and done by hand with real servers.

No container engine is needed: the copies and commands of the image are carried out in a folder, nginx and Redis run
with the options that are written there, and two groups of gunicorn as the service of systemd starts them.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from .actors import Wallet
from .constants import PATIENCE, ROOT
from .documented import blocks
from .nginx import Nginx
from .processes import BIN, sign_in
from .servers import Server, free_port, hearing_signals, running, serving

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
CONFIG = (ROOT / "deploy" / "nginx.conf").read_text()
UNIT = (ROOT / "deploy" / "wallet-sessions@.service").read_text()
INSTALLED = "/opt/wallet-sessions"
HOST = "localhost"


# -- Dockerfile --------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, each with its arguments on one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line)]


def stage(number: int) -> list[tuple[str, str]]:
    begins = [place for place, (name, _) in enumerate(instructions()) if name == "FROM"]
    return instructions()[begins[number] : [*begins, None][number + 1]]


def test_image_is_built_in_two_stages_for_any_platform() -> None:
    known = {"FROM", "COPY", "RUN", "ENV", "WORKDIR", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in instructions()} <= known
    bases = [rest.split(" AS ")[0] for name, rest in instructions() if name == "FROM"]
    assert bases == ["python:3.13-slim"] * 2, "no registry, and no platform"
    assert "--require-hashes -r /tmp/run.txt" in dict(stage(0))["RUN"]
    assert dict(stage(0))["COPY"] == "requirements/run.txt /tmp/run.txt"
    assert not [rest for name, rest in stage(1) if name == "RUN" and "pip" in rest]


def test_image_runs_as_a_user_without_rights() -> None:
    names = [name for name, _ in stage(1)]
    user = dict(stage(1))["USER"]
    assert int(user) > 0
    assert f"--uid {user}" in dict(stage(1))["RUN"]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in ("COPY", "RUN"))


def test_build_context_holds_only_what_is_copied() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [each for name, rest in instructions() if name == "COPY" for each in sources(rest)]
    assert sorted(kept) == sorted(copied)
    assert all((ROOT / each).exists() for each in kept)


def sources(arguments: str) -> list[str]:
    words = arguments.split()
    return [] if words[0].startswith("--from") else [each.rstrip("/") for each in words[:-1]]


def image(folder: Path) -> Path:
    """Carry out the copies of the image's second stage; return its working directory."""
    for name, rest in stage(1):
        if name == "COPY" and (found := sources(rest)):
            target = folder / rest.split()[-1]
            for each in found:
                if (ROOT / each).is_dir():
                    shutil.copytree(ROOT / each, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / each, target)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    """A Redis with the options of compose.yaml."""
    program, *options = SERVICES["valkey"]["command"]
    assert program == "valkey-server"
    with running(Server(tmp_path / "redis", *options)) as server:
        yield server


def test_health_check_of_the_image_works(tmp_path: Path, store: Server) -> None:
    """Healthy once it answers, also while Redis is away; unhealthy once it has ended."""
    folder, port = image(tmp_path), free_port()
    group = Group(folder, [str(BIN / "gunicorn")], settings_for(store, port) | {"BIND": f"127.0.0.1:{port}"})
    assert json.loads(dict(stage(1))["CMD"]) == ["gunicorn"]
    check = json.loads(dict(stage(1))["HEALTHCHECK"].partition("CMD ")[2])
    check = [str(BIN / check[0]), *(each.replace(":8000", f":{port}") for each in check[1:])]

    def healthy() -> bool:
        return subprocess.run(check, stderr=subprocess.DEVNULL, check=False, timeout=PATIENCE).returncode == 0

    with group:
        assert healthy()
        store.stop()
        assert healthy()
    assert not healthy()


# -- compose.yaml ------------------------------------------------------------------------------------------------


def test_two_apps_run_with_the_settings_of_production() -> None:
    apps = [SERVICES["app-1"], SERVICES["app-2"]]
    for each in apps:
        assert (each["build"], each["read_only"], each["cap_drop"]) == (".", True, ["ALL"])
        assert each["environment"]["FLASK_SESSIONS_CORE_TRUSTED_PROXIES"] == "1"
        assert each["environment"]["FLASK_SESSIONS_CORE_REDIS_URL"] == "redis://valkey:6379/0"
        assert "ports" not in each, "only nginx is reached from outside"
    assert len({each["networks"]["inside"]["ipv4_address"] for each in apps}) == 2
    assert re.findall(r"server (app-\d):8000", CONFIG) == ["app-1", "app-2"]


def test_valkey_keeps_what_it_was_told() -> None:
    command = SERVICES["valkey"]["command"]
    for option, value in (("--appendonly", "yes"), ("--maxmemory-policy", "noeviction")):
        assert command[command.index(option) + 1] == value
    assert "ports" not in SERVICES["valkey"]
    assert SERVICES["valkey"]["volumes"] == ["sessions:/data"]


def test_no_service_names_a_registry() -> None:
    images = {each["image"] for each in SERVICES.values()}
    assert images == {"wallet-sessions", "nginx:1.28", "valkey/valkey:8"}


def test_files_that_compose_mounts_are_where_nginx_reads_them() -> None:
    mounts = dict(each.split(":")[:2] for each in SERVICES["nginx"]["volumes"])
    assert mounts == {"./deploy/nginx.conf": "/etc/nginx/nginx.conf", "./deploy/tls": "/etc/nginx/tls"}
    assert "ssl_certificate /etc/nginx/tls/app.example.org.pem;" in CONFIG


def test_example_environment_names_what_compose_reads() -> None:
    read = {name for value in SERVICES["app-1"]["environment"].values() for name in re.findall(r"\$\{(\w+)", value)}
    assert read <= set(variables((ROOT / "deploy" / "example.env").read_text()))


# -- nginx and systemd -------------------------------------------------------------------------------------------


def nginx(folder: Path, port: int, apps: Sequence[int], added: str = "") -> Nginx:
    changes = {
        "listen 80 default_server": f"listen 127.0.0.1:{free_port()} default_server",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "app-1:8000": f"127.0.0.1:{apps[0]}",
        "app-2:8000": f"127.0.0.1:{apps[1]}",
        "/etc/nginx/tls/app.example.org.pem": str(folder / f"{HOST}.pem"),
        "/etc/nginx/tls/app.example.org.key": str(folder / f"{HOST}.pem"),
        "app.example.org": HOST,
        "/var/cache/nginx/sessions_core": str(folder / "cache"),
    }
    return Nginx(folder, CONFIG.replace("http {\n", f"http {{\n{added}", 1), changes, HOST, port)


def test_nginx_has_every_directive_of_the_documentation() -> None:
    def directives(text: str) -> set[str]:
        lines = (re.sub(r"\s*#.*", "", line).strip() for line in text.splitlines())
        return {" ".join(line.split()) for line in lines if line and "/etc/nginx" not in line}

    (block,) = blocks("integrate.md", "A proxy that buffers", "nginx")
    assert {each for each in directives(block) - directives(CONFIG) if "proxy_pass" not in each} == set()


def test_documented_lines_take_the_address_of_cloudflare(tmp_path: Path) -> None:
    """nginx believes the header from the ranges that are named, and from no other client."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["HTTP_X_FORWARDED_FOR"].encode()]

    (lines,) = re.findall(r"^  ```nginx\n(.*?)^  ```$", (ROOT / "docs/operations.md").read_text(), re.M | re.S)
    for name, believed, address in (("in", "127.0.0.1/32", "198.51.100.7"), ("out", "173.245.48.0/20", "127.0.0.1")):
        folder = tmp_path / name
        folder.mkdir()
        added = lines.replace("173.245.48.0/20", believed)
        with serving(app) as port:
            front = nginx(folder, free_port(), [port, port], added)
            try:
                front.wait_until_it_answers()
                forged = {"CF-Connecting-IP": "198.51.100.7", "X-Forwarded-For": "192.0.2.1"}
                assert front.get("/", **forged)[2].decode() == address
            finally:
                front.stop()


def unit(folder: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.replace(INSTALLED, str(folder)))
    return parser["Service"]


def variables(text: str) -> dict[str, str]:
    """Read a file of variables as systemd and Compose do."""
    lines = [line.partition("=") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: "".join(shlex.split(value)) for name, _, value in lines}


# -- By hand -----------------------------------------------------------------------------------------------------


class Group:
    """A group of gunicorn, started as systemd does with `Type=notify`: it says itself when it is ready."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self._folder, self._command, self.environment = folder, command, environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Group:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="ws-") as short,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
        ):
            ear.bind(f"{short}/notify")
            ear.settimeout(PATIENCE)
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    hearing_signals(self._command),
                    cwd=self._folder,
                    env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": f"{short}/notify", **self.environment},
                    stdout=log,
                    stderr=log,
                )
            try:
                while b"READY=1" not in ear.recv(4096):
                    pass
            except TimeoutError:
                raise AssertionError((self._folder / "log").read_text()) from None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE)
            self._process = None


def settings_for(store: Server, port: int) -> dict[str, str]:
    return {
        "FLASK_SECRET_KEY": "kq3V8hT1mZ0xW5sY7bN2cR4dF6gJ9pLa",
        "FLASK_SESSIONS_CORE_PUBLIC_ORIGIN": f"https://{HOST}:{port}",
        "FLASK_SESSIONS_CORE_REDIS_URL": store.url,
        "FLASK_SESSIONS_CORE_REDIS_TIMEOUT_MS": "5000",  # a busy machine answers late
        "FLASK_SESSIONS_CORE_TRUSTED_PROXIES": "1",
        "WEB_CONCURRENCY": "1",
    }


class Installation:
    """/opt/wallet-sessions and /etc/wallet-sessions.env in a folder, with two instances of the service and nginx."""

    def __init__(self, folder: Path, store: Server) -> None:
        self.folder = folder
        self._environment_file = folder / "wallet-sessions.env"
        shutil.copy(ROOT / "examples/production/app.py", folder)
        shutil.copy(ROOT / "deploy/gunicorn.conf.py", folder)
        (folder / "sessions_core").symlink_to(ROOT / "sessions_core")
        (folder / ".venv").symlink_to(BIN.parent)
        service = unit(folder)
        assert service["Type"] == "notify"
        assert service["EnvironmentFile"] == "/etc/wallet-sessions.env"
        ports = [free_port(), free_port()]
        port = free_port()
        self.settings = settings_for(store, port)
        self.groups = []
        for each in ports:
            name, _, bind = service["Environment"].replace("%i", str(each)).partition("=")
            assert (name, bind) == ("BIND", f"127.0.0.1:{each}")
            self.groups.append(Group(folder, shlex.split(service["ExecStart"]), {name: bind}))
        self.configure()
        self.nginx = nginx(folder, port, ports)

    def start(self) -> None:
        for group in self.groups:
            group.start()
        self.nginx.wait_until_it_answers()

    def configure(self, **settings: str) -> None:
        """Write the file of variables, and have the next start of each group read it."""
        self.settings |= settings
        self._environment_file.write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in self.settings.items()))
        for group in self.groups:
            group.environment |= variables(self._environment_file.read_text())

    def restart_in_turn(self, after_each: Callable[[], None]) -> None:
        """Do what `systemctl restart` does with one instance after the other."""
        for group in self.groups:
            group.stop()
            group.start()
            after_each()

    def flask(self, *command: str) -> str:
        done = subprocess.run(
            [str(self.folder / ".venv/bin/flask"), "--app", "app", *command],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(self.nginx.certificate), **self.settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self) -> None:
        self.nginx.stop()
        for group in self.groups:
            group.stop()


class Traffic:
    """Users who ask for their page all the time; `answers` counts what they get."""

    def __init__(self, ask: Callable[[str], tuple[int, bytes]], cookies: dict[str, str]) -> None:
        self._ask, self._cookies = ask, cookies
        self.answers: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)

    def _go_on(self) -> None:
        while not self._stop.is_set():
            for address, cookie in list(self._cookies.items()):
                status, body = self._ask(cookie)
                mine = status == 200 and body == f"Hello {address}".encode()
                self.answers["signed in" if mine else f"{status}"] += 1


@pytest.fixture
def installation(tmp_path: Path, store: Server) -> Iterator[Installation]:
    made = Installation(tmp_path, store)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_restarts_and_rotation_keep_users_signed_in(installation: Installation, store: Server) -> None:
    """The steps of docs/operations.md, "Deploy it", with users who ask for their page all the time."""

    def page(cookie: str) -> tuple[int, bytes]:
        status, _, body = installation.nginx.get("/", Cookie=cookie)
        return status, body

    def newcomer() -> None:
        """Sign in while the groups may have other secrets, and meet both of them."""
        wallet = Wallet()
        cookie = sign_in(installation.nginx.ask, wallet)
        assert [page(cookie) for _ in range(4)] == [(200, f"Hello {wallet.address}".encode())] * 4
        cookies[wallet.address] = cookie

    wallets = [Wallet() for _ in range(4)]
    cookies = {each.address: sign_in(installation.nginx.ask, each) for each in wallets}
    with Traffic(page, cookies) as traffic:
        former = installation.settings["FLASK_SECRET_KEY"]
        found = variables(installation.flask("keys", "rotate"))
        new = found["FLASK_SECRET_KEY"]
        assert json.loads(found["FLASK_SECRET_KEY_FALLBACKS"]) == [former]
        installation.configure(FLASK_SECRET_KEY_FALLBACKS=json.dumps([new]))
        installation.restart_in_turn(newcomer)
        installation.configure(**found)
        installation.restart_in_turn(newcomer)
        installation.flask("sessions", "sweep")
        installation.configure(FLASK_SECRET_KEY_FALLBACKS="[]")
        installation.restart_in_turn(newcomer)
    assert set(traffic.answers) == {"signed in"}, traffic.answers
    assert traffic.answers.total() >= 20
    store.stop()
    assert page(next(iter(cookies.values())))[0] == 503
    store.start()
    until = time.monotonic() + PATIENCE
    for address, cookie in cookies.items():
        while (answer := page(cookie))[0] == 503:  # the circuit breaker tries once a second
            assert time.monotonic() < until
        assert answer == (200, f"Hello {address}".encode())
    lines = json.loads(installation.flask("sessions", "check", "--json"))
    sound = {line["about"] for line in lines if line["state"] == "ok"}
    assert sound == {"settings", "redis", "rights", "clocks", "secret", "tls", "cookies", "proxies"}


def test_nginx_redirects_and_hides_what_machines_ask(installation: Installation) -> None:
    tested = subprocess.run([*installation.nginx.command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    for path in ("/livez", "/readyz", "/metrics"):
        assert installation.nginx.get(path)[0] == 404
    assert installation.nginx.get("/")[1]["Location"] == "/sign-in?next=/"
