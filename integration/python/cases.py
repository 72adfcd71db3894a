"""What the tests have in common: a server for each class of them, and peers that keep what they hear."""

from __future__ import annotations

import threading
import unittest
from typing import Any

from genosrtc import Incoming, Message, Session, SessionError, TransferError
from stage import Gate, Server, until


class Peer:
    """A session that keeps what it was told."""

    def __init__(self, url: str, room: str = "demo", **options: Any):
        self.messages: list[Message] = []
        self.events: list[tuple[str, str, str | None]] = []
        self.states: list[str] = []
        self.results: list[tuple[int, str | None, str]] = []
        self.errors: list[str] = []
        self.transfers: list[Incoming] = []
        self.session = session = Session(url, room, **options)
        session.on_message = self.messages.append
        session.on_peer = lambda *event: self.events.append(event)
        session.on_state = lambda state, _: self.states.append(state)
        session.on_result = lambda *result: self.results.append(result)
        session.on_error = lambda error: self.errors.append(error.code)
        session.on_transfer = self.transfers.append

    def data(self, channel: str) -> list[Any]:
        return [message.data for message in self.messages if message.channel == channel]


class TestCase(unittest.TestCase):
    server: Server
    tls = False

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(cls.tls)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.close()
        assert threading.active_count() == 1, threading.enumerate()

    def peer(self, url: str | None = None, room: str = "demo", join: bool = True, **options: Any) -> Peer:
        options.setdefault("context", self.server.context)
        peer = Peer(url or self.server.url, room, **options)
        self.addCleanup(peer.session.leave)
        if join:
            peer.session.join()
        return peer

    def pair(self, *urls: str | None) -> tuple[Peer, Peer]:
        """Two peers that see each other."""
        one, other = (self.peer(url) for url in urls or (None, None))
        until("they meet", lambda: other.session.id in one.session.peers and one.session.id in other.session.peers)
        return one, other

    def gate(self) -> Gate:
        gate = Gate(self.server.port)
        self.addCleanup(gate.close)
        return gate

    def assertCode(self, code: str, call: Any, *args: Any, **options: Any) -> None:
        with self.assertRaises((SessionError, TransferError)) as caught:
            call(*args, **options)
        self.assertEqual(caught.exception.code, code)
