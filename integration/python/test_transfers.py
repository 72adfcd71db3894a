"""Transfers in both directions, and over cut connections and a killed server."""

from __future__ import annotations

import hashlib
import io
import random
import ssl
import tempfile
import threading
import time
import unittest
from typing import Any

from cases import TestCase
from stage import until


class Transfers(TestCase):
    SIZE = 5_000_000

    def interrupted(self, interrupt: Any, sender_url: str, receiver_url: str) -> None:
        one, other = self.pair(sender_url, receiver_url)
        data = random.Random(1).randbytes(self.SIZE)
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
            source.write(data)
            other.session.on_offer = lambda incoming: target
            fractions: list[float] = []
            halfway = threading.Event()

            def progress(_: str, fraction: float) -> None:
                fractions.append(fraction)
                if fraction > 0.3:
                    halfway.set()

            start = time.monotonic()
            transfer = one.session.transfer("file", source, to=other.session.id, meta={"name": "ä.bin"}, progress=progress)
            self.assertTrue(halfway.wait(20))
            at = transfer.acknowledged
            interrupt()
            transfer.wait(60)
            seconds = time.monotonic() - start
            until("it is whole", lambda: other.transfers)
            (incoming,) = other.transfers
            target.seek(0)
            self.assertEqual(hashlib.sha256(target.read()).hexdigest(), hashlib.sha256(data).hexdigest())
        self.assertEqual((incoming.error, incoming.meta, incoming.size, incoming.sender), (None, {"name": "ä.bin"}, self.SIZE, one.session.id))
        self.assertEqual(transfer.failures, {})
        self.assertLess(at, self.SIZE)
        until("progress ends", lambda: fractions[-1] == 1)
        print(f"    5 MB in {seconds:.2f} s, interrupted at {at} bytes; {len(fractions)} progress messages")

    def test_sender_cut(self) -> None:
        gate = self.gate()
        self.interrupted(gate.cut, gate.url, self.server.url)
        self.assertGreaterEqual(gate.connections, 2)
        self.assertLess(gate.passed, 1.5 * 4 / 3 * self.SIZE, "it went on, rather than from the start")

    def test_receiver_cut(self) -> None:
        gate = self.gate()
        self.interrupted(gate.cut, self.server.url, gate.url)
        self.assertGreaterEqual(gate.connections, 2)

    def test_both_cut(self) -> None:
        gates = self.gate(), self.gate()
        self.interrupted(lambda: [gate.cut() for gate in gates], *(gate.url for gate in gates))

    def test_killed_server(self) -> None:
        self.interrupted(lambda: (self.server.kill(), self.server.start()), self.server.url, self.server.url)

    def test_kinds(self) -> None:
        one, other = self.pair()
        values = [b"", b"\x00\xff" * 50_000, "", "grüße 🎉" * 10_000, {"a": [1, None]}, None]
        for value in values:
            one.session.transfer("file", value).wait(10)
        until("all come", lambda: len(other.transfers) == len(values))
        self.assertEqual([incoming.data for incoming in other.transfers], values)
        self.assertEqual([incoming.kind for incoming in other.transfers], ["bytes"] * 2 + ["text"] * 2 + ["json"] * 2)

    def test_many_beside_messages(self) -> None:
        one, other = self.pair()
        values = [random.Random(n).randbytes(1_000_000 + n) for n in range(8)]
        transfers = [one.session.transfer("file", value) for value in values]
        for n in range(100):
            one.session.send("chat", n)
        for transfer in transfers:
            transfer.wait(30)
        until("all come", lambda: len(other.transfers) == 8 and len(other.messages) == 100)
        self.assertEqual(sorted((incoming.data for incoming in other.transfers), key=len), values)
        self.assertEqual(other.data("chat"), list(range(100)))

    def test_failures(self) -> None:
        one, other = self.pair()
        self.assertCode("nobody", one.session.transfer("file", b"x", to="nobody").wait, 10)
        other.session.on_offer = lambda incoming: None
        refused = one.session.transfer("file", b"x")
        self.assertCode("nobody", refused.wait, 10)
        self.assertEqual(refused.failures, {other.session.id: "refused"})
        self.assertCode("channel_name", one.session.transfer("a name too long", b"x").wait, 10)

    def test_cancelled_by_the_sender(self) -> None:
        one, other = self.pair()
        began = threading.Event()
        other.session.on_offer = lambda incoming: (began.set(), io.BytesIO())[1]
        transfer = one.session.transfer("file", bytes(50_000_000))
        self.assertTrue(began.wait(10))
        one.session.cancel(transfer, "no longer")
        self.assertCode("cancelled", transfer.wait, 10)
        until("the recipient is told", lambda: other.transfers)
        self.assertEqual(other.transfers[0].error, "no longer")
        one.session.transfer("file", b"next").wait(10)

    def test_a_sender_that_leaves(self) -> None:
        one, other = self.pair()
        began = threading.Event()
        other.session.on_offer = lambda incoming: (began.set(), io.BytesIO())[1]
        transfer = one.session.transfer("file", bytes(50_000_000))
        self.assertTrue(began.wait(10))
        one.session.leave()
        self.assertCode("left", transfer.wait, 10)
        until("the recipient is told", lambda: other.transfers)
        self.assertEqual([incoming.error for incoming in other.transfers], ["gone"])

    def test_a_source_that_ends_early(self) -> None:
        one, other = self.pair()
        source = io.BytesIO(bytes(200_000))
        source.seek = lambda at, whence=0: 300_000 if whence else io.BytesIO.seek(source, at)  # type: ignore[method-assign]
        self.assertCode("changed", one.session.transfer("file", source).wait, 10)
        until("the recipient is told", lambda: other.transfers)


class TLS(TestCase):
    tls = True

    def test_both_ways_at_once(self) -> None:
        peers = self.pair()
        data = random.Random(2).randbytes(5_000_000)
        transfers = [peer.session.transfer("file", data) for peer in peers]
        for n in range(500):
            for peer in peers:
                peer.session.send("chat", [n, "x" * 2000])
        for transfer in transfers:
            transfer.wait(60)
        for peer in peers:
            until("all messages come", lambda: len(peer.messages) == 500)
            self.assertEqual([n for n, _ in peer.data("chat")], list(range(500)))
            until("the payload comes", lambda: peer.transfers)
            self.assertEqual(peer.transfers[0].data, data)
            self.assertEqual(peer.states, ["joined"])

    def test_a_certificate_that_nobody_vouches_for(self) -> None:
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.peer(join=False, context=ssl.create_default_context()).session.join()


if __name__ == "__main__":
    unittest.main()
