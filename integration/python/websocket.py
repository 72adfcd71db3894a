"""The client side of RFC 6455, with the standard library alone. No extensions.

    socket = connect("ws://localhost:8080/path", ["a.protocol"])
    socket.send("text")
    print(socket.receive())
    socket.close()

One thread may receive while others send.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_HEAD_LIMIT = 64 << 10  # bytes of a response before its body
_PIECE = 64 << 10  # bytes that TLS is given at once
_BODY_LIMIT = 64 << 10  # bytes of a problem document


class Refused(Exception):
    """The server answered the handshake with another status than 101."""

    def __init__(self, status: int, retry_after: float | None, problem: dict[str, Any]):
        text = problem.get("detail") or problem.get("title") or ""
        super().__init__(f"HTTP {status} {text}".rstrip())
        self.status = status
        self.retry_after = retry_after  # seconds, where the server names them
        self.problem = problem  # RFC 9457, or empty


class Closed(Exception):
    """The WebSocket is closed. Without a close frame of the server the code is 1006."""

    def __init__(self, code: int, reason: str):
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


def connect(
    url: str,
    protocols: Sequence[str] = (),
    *,
    timeout: float = 10,
    silence: float | None = None,
    limit: int = 64 << 20,
    context: ssl.SSLContext | None = None,
) -> WebSocket:
    """Open a WebSocket. `url` begins with ws, wss, http or https.

    A connection from which nothing comes for `silence` seconds counts as lost, so does one on which
    nothing can be sent for as long. A message above `limit` bytes is refused with 1009.
    Raises Refused, or OSError where there is no connection.
    """
    parts = urlsplit(url)
    secure = {"ws": False, "http": False, "wss": True, "https": True}[parts.scheme]
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    raw = socket.create_connection((host, port), timeout)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            raw = (context or ssl.create_default_context()).wrap_socket(raw, server_hostname=host)
        key = base64.b64encode(os.urandom(16))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", "Upgrade: websocket",
                "Connection: Upgrade", f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13"]
        if protocols:
            head.append("Sec-WebSocket-Protocol: " + ", ".join(protocols))
        raw.sendall("\r\n".join([*head, "", ""]).encode("ascii"))
        rest, protocol = _handshake(raw, key, protocols)
        raw.settimeout(silence)
        return WebSocket(_TLS(raw, silence) if isinstance(raw, ssl.SSLSocket) else raw, rest, protocol, limit)
    except BaseException:
        raw.close()
        raise


def _handshake(raw: socket.socket, key: bytes, protocols: Sequence[str]) -> tuple[bytes, str]:
    """Read the response; return what came behind it, and the subprotocol."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = raw.recv(4096)
        if not part or len(data) > _HEAD_LIMIT:
            raise ConnectionError("no HTTP response to the handshake")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        status = int(first.split(" ")[1])
    except (IndexError, ValueError):
        raise ConnectionError(f"not an HTTP response: {first[:80]!r}") from None
    if status != 101:
        wait = fields.get("retry-after", "")
        raise Refused(status, float(wait) if wait.isdigit() else None, _problem(raw, fields, rest))
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
    protocol = fields.get("sec-websocket-protocol", "")
    if (fields.get("sec-websocket-accept") != accept or fields.get("upgrade", "").lower() != "websocket"
            or "upgrade" not in fields.get("connection", "").lower() or fields.get("sec-websocket-extensions")):
        raise ConnectionError("the answer to the handshake is not RFC 6455")
    if protocol and protocol not in protocols:
        raise ConnectionError(f"the server chose a subprotocol that was not offered: {protocol!r}")
    return rest, protocol


def _problem(raw: socket.socket, fields: dict[str, str], body: bytes) -> dict[str, Any]:
    """Read the body of a refusal, as far as it is a problem document."""
    length = min(int(fields.get("content-length") or 0), _BODY_LIMIT)
    try:
        while len(body) < length and (part := raw.recv(4096)):
            body += part
        problem = json.loads(body)
    except (OSError, ValueError):
        return {}
    return problem if isinstance(problem, dict) else {}


class WebSocket:
    """An open WebSocket; `connect` makes it."""

    def __init__(self, raw: socket.socket | _TLS, rest: bytes, protocol: str, limit: int):
        self.protocol = protocol  # the subprotocol that the server chose, or ""
        self._socket = raw
        self._buffer = bytearray(rest)
        self._limit = limit
        self._sending = threading.Lock()
        self._closing = False  # whether we have sent a close frame

    def send(self, message: str | bytes) -> None:
        """Send a text or a binary message. Raises OSError when the connection is lost."""
        if isinstance(message, str):
            self._frame(_TEXT, message.encode())
        else:
            self._frame(_BINARY, message)

    def receive(self) -> str | bytes:
        """Wait for a message; pings are answered meanwhile. Raises Closed at the end."""
        message, kind = bytearray(), None
        try:
            while True:
                final, opcode, payload = self._read_frame(self._limit - len(message))
                if opcode == _PING:
                    self._frame(_PONG, payload)
                elif opcode == _CLOSE:
                    raise self._closed(payload)
                elif opcode != _PONG:
                    if (kind is None) == (opcode == _CONTINUATION):
                        raise _Violation(1002, "a frame that does not continue, or should")
                    kind = kind or opcode
                    message += payload
                    if final:
                        return _text(message) if kind == _TEXT else bytes(message)
        except _Violation as violation:
            self.close(violation.code, str(violation))
            self.abort()
            raise Closed(1006, f"the server broke RFC 6455: {violation}") from None
        except OSError as error:
            self.abort()
            raise Closed(1006, str(error)) from None

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say that we close; `receive` then raises Closed once the server has answered."""
        try:
            self._frame(_CLOSE, struct.pack("!H", code) + reason.encode()[:120])
        except OSError:
            pass

    def abort(self) -> None:
        """End the connection without a word, and wake whoever sends or receives."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def _frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        mask = os.urandom(4)
        frame = head + mask + _masked(payload, mask)
        with self._sending:
            if self._closing:
                raise ConnectionError("the WebSocket is closed")
            self._closing = opcode == _CLOSE
            self._socket.sendall(frame)

    def _read_frame(self, limit: int) -> tuple[bool, int, bytes]:
        first, second = self._read(2)
        final, opcode, size = bool(first & 0x80), first & 0x0F, second & 0x7F
        if first & 0x70 or second & 0x80 or opcode not in (0, 1, 2, 8, 9, 10):
            raise _Violation(1002, "a reserved bit or opcode, or a mask")
        if opcode >= _CLOSE and (size > 125 or not final):
            raise _Violation(1002, "a control frame that is long or in parts")
        if size == 126:
            (size,) = struct.unpack("!H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._read(8))
        if opcode < _CLOSE and size > limit:
            raise _Violation(1009, "a message above our limit")
        return final, opcode, self._read(size)

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            part = self._socket.recv(max(65536, size - len(self._buffer)))
            if not part:
                raise ConnectionError("the connection ended")
            self._buffer += part
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _closed(self, payload: bytes) -> Closed:
        code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
        self.close(code if code != 1005 else 1000)
        self.abort()
        return Closed(code, payload[2:].decode("utf-8", "replace"))


class _TLS:
    """A TLS connection on which one thread may receive while another sends: OpenSSL's may not."""

    def __init__(self, raw: ssl.SSLSocket, silence: float | None):
        self._raw = raw
        self._silence = silence
        self._lock = threading.Lock()
        raw.setblocking(False)

    def recv(self, size: int) -> bytes:
        return self._do(self._raw.recv, size)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._do(self._raw.send, view[:_PIECE]):]

    def shutdown(self, how: int) -> None:
        socket.socket.shutdown(self._raw, how)  # SSLSocket's own would go on without TLS

    def close(self) -> None:
        with self._lock:
            self._raw.close()

    def _do(self, call: Callable[[Any], Any], argument: Any) -> Any:
        while True:
            try:
                with self._lock:
                    return call(argument)
            except ssl.SSLWantReadError:
                event = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                event = selectors.EVENT_WRITE
            try:
                with selectors.DefaultSelector() as selector:
                    selector.register(self._raw, event)
                    if not selector.select(self._silence):
                        raise TimeoutError("timed out")
            except (ValueError, KeyError):
                raise ConnectionError("the connection is closed") from None


class _Violation(Exception):
    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


def _text(message: bytearray) -> str:
    try:
        return message.decode("utf-8")
    except UnicodeDecodeError:
        raise _Violation(1007, "text that is not UTF-8") from None


def _masked(payload: bytes, mask: bytes) -> bytes:
    """XOR with the mask over and over, as one number: far faster than byte by byte."""
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")
