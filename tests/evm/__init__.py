"""A real Ethereum node of the tests' own: anvil, on the loopback interface, gone with its owner.

`tests/browser/install.sh` installs its binary from npm (Linux on x86-64); elsewhere `anvil` of Foundry has to be on
the path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from sessions_core.parts.development_redis import embedded

CHAIN = "eip155:31337"
_BINARY = Path(__file__).parent / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
# The address where anvil has the proxy that deploys: called with a salt and creation code, it does CREATE2
# (github.com/Arachnid/deterministic-deployment-proxy).
FACTORY = "0x4e59b44847b379578588920cA78FbF26c0B4956C"


class Anvil:
    """A node with a chain of its own, on which everybody is rich and blocks come when they are needed."""

    def __init__(self, directory: Path) -> None:
        found = str(_BINARY) if _BINARY.is_file() else shutil.which("anvil")
        if found is None:
            raise RuntimeError("The tests need anvil: run sh tests/browser/install.sh, or install Foundry")
        # The keeper of `embedded` ends the node when we are gone.
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", embedded._KEEPER, "sh", found, "--host", "127.0.0.1", "--port", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        )
        self._said: list[str] = []
        self._place = ""
        self._started = threading.Event()
        # For as long as it lives: it writes a line for each call, and would stop once the pipe is full.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._started.wait(20), self._said
        assert self._place, self._said
        self.url = f"http://{self._place}"
        self.rich: str = self.ask("eth_accounts")[0]

    def _read(self) -> None:
        assert self._keeper.stdout is not None
        for line in self._keeper.stdout:
            if not self._place:
                self._said.append(line.decode())
                self._place = self._said[-1].partition("Listening on ")[2].strip()
                if self._place:
                    self._started.set()
        self._started.set()  # it has ended, and what it said tells why

    def ask(self, method: str, *params: object) -> Any:
        """Return the result of a method, whatever it is."""
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = Request(self.url, call, {"Content-Type": "application/json"})
        with build_opener(ProxyHandler({})).open(request, timeout=20) as response:
            answer = json.load(response)
        assert "error" not in answer, answer
        return answer["result"]

    def send(self, to: str | None, data: bytes) -> dict[str, Any]:
        """Send a transaction and return its receipt."""
        call = {"from": self.rich, "data": "0x" + data.hex(), "gas": hex(10_000_000)} | ({"to": to} if to else {})
        receipt = self.ask("eth_sendTransactionSync", call)
        assert receipt["status"] == "0x1", receipt
        return dict(receipt)

    def deploy(self, creation: bytes) -> str:
        """Deploy a contract and return its address."""
        return str(self.send(None, creation)["contractAddress"])

    def stop(self) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.close()
        self._keeper.wait(timeout=20)
        self._reader.join(timeout=20)
        self._keeper.stdout.close()
