"""What goes on below a session: connections, threads, and what the server says."""

from __future__ import annotations

import itertools
import logging
import queue
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO
from urllib.parse import quote

import websocket
from messages import Map, Message, Owed, Sent, SessionError, decode, encode
from transfers import Arrivals, Incoming, Outgoing, TransferError

_FINAL = {1000, 1002, 1003, 1008, 1009, 4000}  # close codes after which coming back is no use
_FINAL_STATUS = {400, 403, 404, 405, 426}
_SILENCE = 45  # seconds; the server sends a ping every 20


class Conversation:
    """A session as seen from below; genosrtc.Session adds what an application calls."""

    def __init__(self, url: str, room: str, *, password: str | None = None, history: int = 0,
                 context: ssl.SSLContext | None = None):
        """`url` is where the server's resources are; `history` is how many recent messages are wanted."""
        if room in ("", ".", ".."):
            raise ValueError(f"no URL can name the room {room!r}")
        self.on_message: Callable[[Message], None] | None = None
        # A peer id, its event (join, leave, seen, lost) and its type.
        self.on_peer: Callable[[str, str, str | None], None] | None = None
        # Is asked for a file to write a transfer into; None refuses it. Without on_offer memory is used.
        self.on_offer: Callable[[Incoming], BinaryIO | None] | None = None
        # A transfer that is whole, or has failed: see its `error`.
        self.on_transfer: Callable[[Incoming], None] | None = None
        # A send that did not reach a peer: its seq, the peer and the error.
        self.on_result: Callable[[int, str | None, str], None] | None = None
        # How much has come of a message from a browser: channel, sender, fraction, meta.
        self.on_progress: Callable[[str, str, float, Any], None] | None = None
        # An error that is about no send, ping or transfer of ours.
        self.on_error: Callable[[SessionError], None] | None = None
        # joined, lost (a connection), resumed, renewed (this is a new session, as the old one could
        # not be resumed) or ended; and why.
        self.on_state: Callable[[str, str], None] | None = None
        self.welcome: Map = {}  # the last one
        self.peers: dict[str, str | None] = {}  # those that we are connected with: id → type

        self._url = f"{url.rstrip('/')}/rooms/{quote(room, safe='')}/ws"
        self._context = context
        self._hello: Map = {"op": "hello"} | ({} if password is None else {"password": password})
        if history:
            self._hello["history"] = history
        self._fault: SessionError | None = None  # the last error that a connection was told
        self._why = "no answer"  # why the last attempt to connect failed
        self._stop = threading.Event()
        # What the thread of the handlers is to call. Only that thread uses the next two.
        self._calls: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._arrivals = Arrivals()
        self._owed = Owed()

        self._changed = threading.Condition()  # guards all that follows
        self._dialing: websocket.WebSocket | None = None  # the last
        self._socket: websocket.WebSocket | None = None  # the same, while it is welcome
        self._end: Exception | None = None
        self._control: deque[Map] = deque()  # what is to be said before sends
        self._seq = 0
        self._unsent: deque[Sent] = deque()
        self._unacknowledged: dict[int, Sent] = {}
        self._recent: dict[int, Sent] = {}
        self._received = 0  # the highest seq of a message that came
        self._numbers = itertools.count(1)  # of pings and transfers
        self._pings: dict[int, queue.SimpleQueue[str | None]] = {}
        self._outgoing: dict[int, Outgoing] = {}
        self._cancelled: list[int] = []  # by us, while this connection was open or none

    # One thread connects and reads, one writes for each connection, one calls the handlers.

    def _connect(self) -> None:
        failures = 0
        while not self._stop.is_set():
            wait, start = 0.0, time.monotonic()
            try:
                self._converse()
            except websocket.Refused as refused:
                self._why, wait = str(refused), refused.retry_after or 0
                if refused.status in _FINAL_STATUS:
                    return self._over(SessionError(f"http_{refused.status}", str(refused)))
            except websocket.Closed as closed:
                if closed.code in _FINAL:
                    return self._over(self._fault or SessionError(closed.reason or str(closed.code), str(closed)))
                self._why = str(closed)
                self._tell(self.on_state, "lost", self._why)
            except ssl.SSLCertVerificationError as error:
                return self._over(error)
            except OSError as error:
                self._why = str(error)
                logging.getLogger("genosrtc").debug("%s: %s", self._url, error)
            except Exception as error:  # a fault of this client, or of what the server said
                logging.getLogger("genosrtc").exception("%s", self._url)
                return self._over(error)
            failures = 0 if time.monotonic() - start > 1 else min(failures + 1, 7)
            # A time of its own for each client, so that not all come back at once; but while the session lives.
            longest = min(15, self.welcome.get("limits", {}).get("resume", 60) / 4)
            self._stop.wait(wait + random.uniform(0.05, min(longest, 0.15 * 2**failures)))

    def _converse(self) -> None:
        """Open one connection, and read until it ends."""
        socket = websocket.connect(self._url, ["genosrtc.v1.json"], silence=_SILENCE, context=self._context)
        writer = threading.Thread(target=self._write, args=(socket,), name="genosrtc_write", daemon=True)
        try:
            with self._changed:
                self._dialing = socket
                self._fault = None
                if self._end:
                    return
                resume = {"resume": self.welcome["resume"], "ack": self._received} if self.welcome else {}
            socket.send(encode(self._hello | resume))
            while True:
                text = socket.receive()
                message = decode(text)
                with self._changed:
                    self._hear(socket, message, len(text))
                    self._changed.notify_all()
                if message["op"] == "welcome":
                    writer.start()
        except websocket.Closed as closed:
            if self._fault and self._fault.code != closed.reason:
                self._fault = None  # it is not why the connection was closed
            raise
        finally:
            with self._changed:
                self._socket = None
                self._control.clear()
                self._changed.notify_all()
            socket.abort()
            if writer.ident:
                writer.join()

    def _write(self, socket: websocket.WebSocket) -> None:
        try:
            while (text := self._next(socket)) is not None:
                socket.send(text)
        except OSError:
            socket.abort()

    def _next(self, socket: websocket.WebSocket) -> str | None:
        """Wait for what is to be written: sends first, then the chunks of all transfers in turn."""
        with self._changed:
            while self._socket is socket:
                if self._control:
                    return encode(self._control.popleft())
                if self._unsent:
                    return self._unsent.popleft().text
                for one in list(self._outgoing.values()):
                    try:
                        message = one.next()
                    except (OSError, ValueError, TransferError) as error:  # of its source
                        self._cancel(one, error, "unreadable")
                        continue
                    if message:
                        self._outgoing[one.number] = self._outgoing.pop(one.number)
                        return encode(message)
                if not self._control:
                    self._changed.wait()
        return None

    def _say(self, message: Map) -> None:
        """Say it on the connection that there is; after another, _welcome says what is still of use."""
        if self._socket:
            self._control.append(message)
            self._changed.notify_all()

    def _hear(self, socket: websocket.WebSocket, message: Map, size: int) -> None:
        op = message["op"]
        if op == "welcome":
            self._welcome(socket, message)
        elif op == "message":
            if message["seq"] > self._received:
                self._received = message["seq"]
                self._calls.put((self._take_message, (socket, message, size)))
        elif "from" in message and op in ("begin", "chunk", "end", "cancel"):
            self._calls.put((self._take_transfer, (socket, message)))
        elif op == "ack" and "seq" in message:
            self._acknowledged(message["seq"])
        elif op == "ping":
            self._say({"op": "pong", "id": message["id"]})
        elif op == "pong":
            self._answer(message["id"], message.get("error"))
        elif op == "peer":
            self._peer(message["event"], message["peer"], message.get("type"))
        elif op == "error":
            self._error(message)
        elif op == "progress" and "channel" in message:
            self._tell(self.on_progress, message["channel"], message["peer"], message["fraction"], message.get("meta"))
        elif "transfer" in message:
            self._transfer(message)
        elif op in ("result", "progress") and (sent := self._recent.get(message["seq"])):
            if op == "progress":
                self._tell(sent.progress, message["peer"], message["fraction"])
            elif sent.failures.get(peer := message.get("peer")) != message["error"]:  # some come twice
                sent.failures[peer] = message["error"]
                self._tell(self.on_result, sent.seq, peer, message["error"])

    def _welcome(self, socket: websocket.WebSocket, message: Map) -> None:
        first, resumed = not self.welcome, message["resumed"]
        self.welcome, self._socket = message, socket
        if not resumed and not first:
            self._abandon(SessionError("renewed", message.get("reason", "")))
            self._received = 0
            self._calls.put((self._forget, ()))
        self._acknowledged(message["ack"])
        self._unsent = deque(self._unacknowledged.values())
        for number in self._cancelled:
            self._say({"op": "cancel", "transfer": number})
        self._cancelled.clear()
        for one in self._outgoing.values():
            self._say(one.begin(self.welcome["limits"]["window"]))
        now = {peer["peer"]: peer.get("type") for peer in message["peers"]}
        for peer, kind in [*self.peers.items()]:
            if peer not in now:
                self._peer("leave", peer, kind)
        for peer, kind in now.items():
            if peer not in self.peers:
                self._peer("join", peer, kind)
        state = "resumed" if resumed else "joined" if first else "renewed"
        self._tell(self.on_state, state, message.get("reason", ""))

    def _acknowledged(self, seq: int) -> None:
        for number in [number for number in self._unacknowledged if number <= seq]:
            self._unacknowledged.pop(number).finish()

    def _answer(self, ping: int, error: str | None) -> None:
        if answer := self._pings.get(ping):
            answer.put(error)

    def _peer(self, event: str, peer: str, kind: str | None) -> None:
        if event == "join":
            self.peers = {**self.peers, peer: kind}  # another map, as others may be reading this one
        elif event == "leave":
            self.peers = {one: its for one, its in self.peers.items() if one != peer}
            self._calls.put((self._forget, (peer,)))
        self._tell(self.on_peer, event, peer, kind)

    def _error(self, message: Map) -> None:
        error = self._fault = SessionError(message["code"], message.get("message", ""))
        if "id" in message:
            self._answer(message["id"], message["code"])
        elif sent := self._unacknowledged.get(message.get("seq", 0)):
            sent.error = error  # its ack follows
        elif "transfer" in message and "from" not in message:
            self._transfer(message)
        else:
            self._tell(self.on_error, error)

    def _transfer(self, message: Map) -> None:
        """What the server says of a transfer of ours."""
        one = self._outgoing.get(message["transfer"])
        if one and message["op"] == "progress":
            self._tell(one.progress, message["peer"], message["fraction"])
        elif one:
            one.hear(message)
            if one.done:
                del self._outgoing[one.number]

    def _cancel(self, one: Outgoing, error: Exception, reason: str) -> None:
        if self._outgoing.pop(one.number, None):
            one.fail(error)
            self._cancelled.append(one.number)
            self._say({"op": "cancel", "transfer": one.number, "reason": reason})

    def _abandon(self, error: Exception) -> None:
        """Nothing of this session's own will be heard of any more."""
        for one in self._unacknowledged.values():
            one.finish(error)
        for one in self._outgoing.values():
            one.fail(error)
        for number in self._pings:
            self._answer(number, str(error))
        for kept in (self._unacknowledged, self._unsent, self._recent, self._outgoing, self._cancelled):
            kept.clear()

    def _over(self, error: Exception) -> None:
        with self._changed:
            self._finish(error)

    def _finish(self, error: Exception) -> None:
        if self._end:
            return
        self._end = error
        self._abandon(error)
        self._tell(self.on_state, "ended", str(error))
        self._calls.put(None)
        self._stop.set()
        if self._dialing:
            self._dialing.abort()
        self._changed.notify_all()

    def _check(self) -> None:
        if self._end:
            raise self._end
        if not self.welcome:
            raise SessionError("not_joined")

    # The rest runs in the thread of the handlers.

    def _tell(self, handler: Callable[..., None] | None, *args: Any) -> None:
        """Have a handler called. Any thread may do this."""
        if handler:
            self._calls.put((handler, args))

    def _call(self) -> None:
        while call := self._calls.get():
            handler, args = call
            try:
                handler(*args)
            except Exception:
                logging.getLogger("genosrtc").exception("%r", handler)
            if self._owed.due(self._calls.empty()):
                with self._changed:
                    if self._socket is self._owed.socket:  # else hello has said more
                        self._say({"op": "ack", "seq": self._owed.seq})
                self._owed = Owed()

    def _take_message(self, socket: websocket.WebSocket, message: Map, size: int) -> None:
        self._owed.add(socket, message["seq"], size)
        if self.on_message:
            self.on_message(Message(message["seq"], message["channel"], message["from"], message["data"],
                                    message.get("meta"), message.get("history", False)))

    def _take_transfer(self, socket: websocket.WebSocket, message: Map) -> None:
        answer, ended = self._arrivals.hear(message, self.on_offer)
        with self._changed:
            if answer and self._socket is socket:  # else the server asks anew
                self._say(answer)
        if ended and self.on_transfer:
            self.on_transfer(ended)

    def _forget(self, sender: str | None = None) -> None:
        for one in self._arrivals.forget(sender):
            if self.on_transfer:
                self.on_transfer(one)
