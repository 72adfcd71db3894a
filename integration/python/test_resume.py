"""The client over cut connections and a killed server: nothing is lost, doubled or out of order."""

from __future__ import annotations

import random
import threading
import time
import unittest
from typing import Any

import websocket
from cases import Peer, TestCase
from messages import decode, encode
from stage import Gate, until


class Resume(TestCase):
    def traffic(self, interrupt: Any, rounds: int, gates: tuple[Gate, Gate]) -> None:
        """Both send all the time while they are interrupted; nothing is lost, doubled or out of order."""
        one, other = self.pair(*(gate.url for gate in gates))
        ids = [one.session.id, other.session.id]
        going, sent = True, [0, 0]

        def send(at: int, peer: Peer) -> None:
            while going:
                data = b"%d" % sent[at] if sent[at] % 3 else {"n": sent[at], "text": "ä" * random.randrange(500)}
                peer.session.send("chat", data)
                sent[at] += 1
                time.sleep(0.002)

        threads = [threading.Thread(target=send, args=args) for args in enumerate((one, other))]
        for thread in threads:
            thread.start()
        try:
            for n in range(rounds):
                time.sleep(0.4)
                interrupt(n)
                for peer in (one, other):
                    until("it has resumed", lambda: peer.states.count("resumed") > n, 20)
        finally:
            going = False
            for thread in threads:
                thread.join()
        for peer, count in ((one, sent[1]), (other, sent[0])):
            peer.session.flush(20)
            until("all have come", lambda: len(peer.messages) >= count, 20)
        time.sleep(0.5)  # for what should not come
        for peer, count in ((one, sent[1]), (other, sent[0])):
            numbers = [int(data) if isinstance(data, bytes) else data["n"] for data in peer.data("chat")]
            self.assertEqual(numbers, list(range(count)))
            self.assertGreater(count, 200)
            self.assertGreaterEqual(peer.states.count("resumed"), rounds)
            self.assertNotIn("renewed", peer.states)
            self.assertEqual([event for event, *_ in peer.events if event == "leave" and _[1] == "session"], [])
        self.assertEqual([one.session.id, other.session.id], ids)
        print(f"    {sent} messages over {rounds} interruptions, nothing lost or doubled")

    def test_cut(self) -> None:
        gates = (self.gate(), self.gate())

        def cut(n: int) -> None:
            for gate in gates:
                gate.cut(stay_shut=n % 2 == 1)
            time.sleep(0.5 * (n % 2))
            for gate in gates:
                gate.reopen()

        self.traffic(cut, 6, gates)

    def test_killed_server(self) -> None:
        def kill(_: int) -> None:
            self.server.kill()
            self.server.start()

        self.traffic(kill, 2, (self.gate(), self.gate()))

    def test_expired(self) -> None:
        gate = self.gate()
        one, other = self.pair(gate.url, None)
        before = one.session.id
        one.session.send("chat", "before").wait(10)
        gate.cut(stay_shut=True)
        lost = one.session.send("chat", "too late")
        until("the other is told that it left", lambda: any(event == ("leave", before, "session") for event in other.events), 30)
        gate.reopen()
        self.assertCode("renewed", lost.wait, 30)
        until("it is another session", lambda: one.session.id != before)
        one.session.send("chat", "after").wait(10)
        until("it comes", lambda: "after" in other.data("chat"))
        self.assertEqual(other.data("chat"), ["before", "after"])
        self.assertIn("renewed", one.states)

    def test_elsewhere(self) -> None:
        one, _ = self.pair()
        socket = websocket.connect(f"{self.server.url}/rooms/demo/ws", ["genosrtc.v1.json"])
        socket.send(encode({"op": "hello", "resume": one.session.welcome["resume"]}))
        self.assertTrue(decode(socket.receive())["resumed"])
        until("the older ends", lambda: "ended" in one.states)
        self.assertCode("resumed elsewhere", one.session.send, "chat", "hi")
        socket.send(encode({"op": "leave"}))
        with self.assertRaises(websocket.Closed):
            while True:
                socket.receive()


if __name__ == "__main__":
    unittest.main()
