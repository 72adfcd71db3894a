"""What the tests need around the client: a real server, and a gate in front of it that cuts."""

from __future__ import annotations

import os
import random
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

PASSWORD = "correct horse"
_ROOT = Path(__file__).resolve().parents[2]
_CADDYFILE = """{
	admin off
	persist_config off
	%(options)s
	genosrtc {
		udp 127.0.0.1:%(udp)d
	}
}
%(site)s:%(port)d {
	bind 127.0.0.1
	genosrtc {
		room demo
		room "a/b ü"
		room locked {
			password "correct horse"
		}
		limits {
			resume 10s
		}
	}
}
"""


def until(what: str, condition: Callable[[], Any], timeout: float = 10) -> Any:
    """Return the first true value of condition; fail if there is none in time."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.02)
    return value


def free_port() -> int:
    """A port that is free for TCP and UDP, and none that the system gives to connections while the server is down."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Server:
    """Caddy with our module: the binary that SERVER_CMD names, or build/caddy-race."""

    def __init__(self, tls: bool = False) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}/genosrtc" if tls else f"http://127.0.0.1:{self.port}/genosrtc"
        self.context: ssl.SSLContext | None = None  # what trusts the certificate that it made for itself
        self._tls = tls
        self._folder = Path(tempfile.mkdtemp(prefix="genosrtc-python-"))
        (self._folder / "Caddyfile").write_text(_CADDYFILE % {
            "port": self.port, "udp": free_port(), "site": "https://localhost" if tls else "http://",
            "options": "local_certs\n\tskip_install_trust\n\tauto_https disable_redirects" if tls else "auto_https off"})
        self._log = open(self._folder / "log", "wb")
        self.start()

    def start(self) -> None:
        command = os.environ.get("SERVER_CMD") or str(_ROOT / "build/caddy-race")
        folder = str(self._folder)
        env = {**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder, "GORACE": "atexit_sleep_ms=100"}
        self._process = subprocess.Popen(
            [command, "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"],
            cwd=_ROOT, env=env, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        until("the server answers", self._answers, 30)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
        root = self._folder / "caddy/pki/authorities/local/root.crt"
        try:
            self.context = ssl.create_default_context(cafile=str(root)) if self._tls else None
            with urllib.request.urlopen(f"{self.url}/relay", timeout=5, context=self.context):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Stop it; fail if it panicked or the race detector spoke."""
        self._process.terminate()
        try:
            self._process.wait(15)
        finally:
            self._process.kill()
            self._log.close()
        log = (self._folder / "log").read_text(errors="replace")
        shutil.rmtree(self._folder)
        assert not any(word in log for word in ("WARNING: DATA RACE", "\npanic:", "fatal error:")), log[-4000:]


class Gate:
    """Passes connections on to a server, until it cuts them."""

    def __init__(self, port: int):
        self._target = port
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/genosrtc"
        self.passed = 0  # bytes, in both directions
        self.connections = 0
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._sockets |= {near, far}
                self.connections += 1
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
                self.passed += len(data)
        except OSError:
            pass
        self._drop({one, other})

    def _drop(self, sockets: set[socket.socket]) -> None:
        with self._lock:
            self._sockets -= sockets
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut(self, stay_shut: bool = False) -> None:
        """End all connections, with what is under way in them; others are refused while it stays shut."""
        self._open = not stay_shut
        self._drop(set(self._sockets))

    def reopen(self) -> None:
        self._open = True

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        self.cut(stay_shut=True)
