"""Asks a running relay, byte by byte, what §3 to §5 demand of it.

    python3 probe.py --port N [--slow]
    python3 probe.py --port N --password-file F     what §7 demands, and nothing else

The relay must have no allow list, without the second form no password, and room for three.  Every
frame of kat.json that a relay may get goes through a connection of its own: `rejected` must be
answered CLOSE(3), `edge` must leave the connection alive.  --slow adds the 10 s of JOIN_TIMEOUT_MS.
"""

import argparse
import os
import socket
import struct
import threading
import time

import hearth as h
import katcheck

ROOM = h.room_tag("probe")


class Line:
    """A blocking transport connection as initiator."""

    def __init__(self, port, key, source="127.0.0.1"):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=5,
                                          source_address=(source, 0))
        self.key, self.got, self.passed = key, [], 0       # passed: RECVs nobody waited for

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.s.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def handshake(self):
        hs = h.Initiator("transport", self.key)
        self.s.sendall(hs.m1())
        m2 = self.exactly(34)
        self.fp_s = hs.read_m2(m2 + self.exactly(struct.unpack(">H", m2[32:])[0])).fp
        m3 = hs.m3()
        self.th3 = hs.th3
        self.out, self.incoming = h.Chain(hs.ckI), h.Chain(hs.ckR)
        self.m3 = m3
        return self

    def record(self, plaintext):
        m3, self.m3 = self.m3, b""
        self.s.sendall(m3 + h.L(self.out.seal(plaintext)))

    def frames(self):
        """The frames of the next record; None at the end of the connection."""
        try:
            size = struct.unpack(">H", self.exactly(2))[0]
            return list(h.frames(self.incoming.open(self.exactly(size))))
        except EOFError:
            return None

    def until(self, *kinds):
        """The next frame of one of these types; others before it are passed over."""
        while True:
            while self.got:
                kind, body = self.got.pop(0)
                if kind in kinds:
                    return kind, body
                self.passed += kind == h.RECV
            self.got = self.frames()
            if self.got is None:
                self.got = []
                return None, None

    def join(self, instance=None, room=ROOM, more=b"", proof=h.ZERO32, wait=True):
        self.instance = instance or os.urandom(16)
        self.record(h.frame(h.JOIN, proof + room + self.instance) + more)
        if not wait:
            return None, None
        kind, body = self.until(h.WELCOME, h.CLOSE)
        if kind == h.WELCOME:
            self.sid = body[:8]
        return kind, body

    def alive(self):
        mark = os.urandom(8)
        self.record(h.frame(h.PING, mark))
        self.pongs = 0
        while True:
            kind, body = self.until(h.PONG, h.CLOSE)
            self.pongs += 1
            if kind != h.PONG or body == mark:
                return kind == h.PONG

    def closed(self):
        """CLOSE's reason, or None where the connection just ends."""
        kind, body = self.until(h.CLOSE)
        return None if kind is None else body[0]


def want(condition, what):
    global count
    count += 1
    if not condition:
        raise SystemExit("FAILED: " + what)


count = 0


def check_rooms(port, bob, alice):
    """Order, what is dropped, who is replaced where, and a room that is full (§5)."""
    def fresh(key=bob):
        return Line(port, key).handshake()

    other_room = h.room_tag("another room")
    with fresh() as a, fresh(alice) as b, fresh() as c, fresh(alice) as d, fresh() as e:
        _, body = a.join()
        capacity = struct.unpack_from(">H", body, 8)[0]
        b.join()
        d.join(a.instance, other_room)                 # another room: nobody is replaced
        _, body = c.join()
        want(body[10:] == b"\0\2" + a.sid + bob.fp + b.sid + alice.fp, "in the order they joined")
        want(a.until(h.JOINED, h.CLOSE) == (h.JOINED, b.sid + alice.fp), "JOINED, b")
        want(a.until(h.JOINED, h.CLOSE) == (h.JOINED, c.sid + bob.fp), "JOINED, c")
        want(d.alive() and a.alive(), "the same instance in another room, under another key")
        for sid in (a.sid, bytes(8), os.urandom(8), d.sid):
            a.record(h.frame(h.SEND, sid + b"\4tagg" + b"dropped"))
        a.record(b"".join(h.frame(h.SEND, b.sid + b"\4tagg" + bytes([i])) for i in range(200)))
        got = [b.until(h.RECV)[1][-1] for _ in range(200)]
        want(got == list(range(200)), "in order")
        for line in (a, d):
            want(line.alive() and not line.passed, "to nobody, oneself, another room: dropped")
        if capacity == 3:
            want(e.join() == (h.CLOSE, b"\5"), "CLOSE(5)")
            with fresh() as again:                      # it takes a place that is not counted
                want(again.join(c.instance)[0] == h.WELCOME, "replaced in a full room")
                want(c.closed() == 6, "CLOSE(6)")
        else:
            want(e.join(room=other_room)[0] == h.WELCOME, "WELCOME")


def check_key_changes(port, key):
    """Records 0 to 2100 in both directions, each of its own (§4)."""
    with Line(port, key).handshake() as line:
        line.join()
        for n in range(2100):
            mark = h.u64(n)
            line.record(h.frame(h.PING, mark))
            if line.until(h.PONG, h.CLOSE) != (h.PONG, mark):
                want(False, f"PONG {n}")
        want(line.out.n > 2048 and line.incoming.n > 2048, "two changes of key each way")


def check_passwords(port, key, password):
    """§7: right ones at once, wrong ones after 1, 2 ... s of their address, one a second over all."""
    def attempt(source, right):
        line = Line(port, key, source).handshake()
        kjoin = keys.get(line.fp_s) or keys.setdefault(
            line.fp_s, h.password_keys(password, line.fp_s)[0])
        proof = h.join_proof(kjoin, line.th3) if right else h.join_proof(bytes(32), line.th3)
        line.s.settimeout(20)
        start = time.monotonic()
        try:
            kind, body = line.join(proof=proof)
        except OSError:
            kind, body = None, None
        line.s.close()
        return kind, body, time.monotonic() - start

    def takes(source, right, low, high, what):
        kind, body, spent = attempt(source, right)
        want((kind == h.WELCOME) if right else (kind, body) == (h.CLOSE, b"\1"),
             f"{what}: the answer, not {kind}")
        want(low <= spent < high, f"{what}: after {low} s, not {spent:.2f}")

    def at_once(*calls):
        threads = [threading.Thread(target=run, args=c) for c in calls]
        for t in threads:
            t.start()
            time.sleep(0.2)
        for t in threads:
            t.join()
        if failures:
            raise failures[0]

    def run(*arguments):
        try:
            takes(*arguments)
        except BaseException as e:
            failures.append(e)

    keys, failures = {}, []
    takes("127.0.0.2", True, 0, 0.9, "a right one")
    takes("127.0.0.2", False, 0.95, 1.9, "a wrong one")
    takes("127.0.0.2", False, 1.95, 2.9, "the second wrong one")
    takes("127.0.0.2", True, 0, 0.9, "a right one after it")
    takes("127.0.0.2", False, 0.95, 1.9, "a wrong one after a right one")
    at_once(("127.0.0.2", False, 1.95, 2.9, "a wrong one"),
            ("127.0.0.2", True, 1.5, 2.9, "a right one of the same address behind it"),
            ("127.0.0.3", True, 0, 0.9, "a right one of another address"))
    time.sleep(1)
    at_once(("127.0.0.4", False, 0.95, 1.9, "a wrong one"),
            ("127.0.0.5", False, 1.5, 2.9, "a wrong one of another address: a second later"),
            ("127.0.0.6", False, 2.3, 3.9, "and of a third"))
    with Line(port, key, "127.0.0.2").handshake() as line:
        line.join(more=h.frame(h.PING, b"while it") + h.frame(h.SEND, bytes(8) + b"\4taggx"),
                  proof=bytes(32), wait=False)
        want(line.until(h.PONG, h.CLOSE) == (h.PONG, b"while it"), "PONG while a wrong one waits")
        want(line.closed() == 1, "CLOSE(1)")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--password-file")
    p.add_argument("--slow", action="store_true")
    o = p.parse_args()
    kat = katcheck.Kat()
    kat.check_keys(kat.kat["keys"])
    key, weak = kat.keys["bob"], kat.keys["weak"]
    part = kat.kat["frames"]
    if o.password_file:
        with open(o.password_file, encoding="utf-8") as f:
            check_passwords(o.port, key, f.readline().rstrip("\r\n"))
        print(f"ok: {count} checks")
        return

    def fresh(k=key):
        return Line(o.port, k)

    # what the frames of the known answers do
    for group in ("edge", "rejected"):
        for c in part[group]:
            if c["receiver"] == "client":
                continue
            with fresh().handshake() as line:
                if c.get("state") is None:
                    kind, _ = line.join()
                    want(kind == h.WELCOME, "WELCOME")
                line.record(katcheck.repeated(c))
                if group == "edge":
                    want(line.alive(), "alive after: " + c["reason"])
                else:
                    want(line.closed() == 3, "CLOSE(3) after: " + c["reason"])

    # §4: records
    for name, data in (("length 16", h.L(bytes(16))), ("length 16401", h.L(bytes(16401))),
                       ("a wrong tag", h.L(bytes(40)))):
        with fresh().handshake() as line:
            line.join()
            line.s.sendall(data)
            want(line.closed() == 3, "CLOSE(3) after " + name)
        with fresh().handshake() as line:
            line.s.sendall(line.m3 + data)
            want(line.frames() is None, "nothing after " + name + " as the first record")
    with fresh().handshake() as line:
        line.record(h.frame(h.CLOSE, b"\0") + h.frame(0x77, b""))
        want(line.frames() is None, "no answer to a CLOSE instead of JOIN")
    with fresh().handshake() as line:
        line.join()
        line.record(b"".join(h.frame(h.PING, h.u64(i)) for i in range(1400)))
        want(line.alive(), "alive after 1400 PINGs in a record")
        want(line.pongs < 10, "one PONG waits at most")

    # §3: handshake
    for data, answer in ((b"SSH-2.0-", h.MAGIC_OTHER), (b"HEARTH/2" + bytes(32), h.MAGIC_OTHER)):
        with fresh() as line:
            line.s.sendall(data)
            got = b""
            while piece := line.s.recv(100):
                got += piece
            want(got == answer, "HEARTH/?")
    with fresh() as line:
        line.s.sendall(b"HEAR")
        line.s.shutdown(socket.SHUT_WR)
        want(line.s.recv(10) == b"", "nothing after four bytes")
    for point in kat.kat["points_rejected"]["cases"]:
        with fresh() as line:
            line.s.sendall(h.MAGIC + bytes.fromhex(point["hex"]))
            want(line.s.recv(10) == b"", "nothing after the point " + point["note"])
    for spoil in (0, 1, 2, 40, -1):
        with fresh().handshake() as line:
            m3 = bytearray(line.m3)
            m3[spoil] ^= 1
            line.s.sendall(bytes(m3) + bytes(400))
            want(line.frames() is None, f"nothing after a changed M3 ({spoil})")
    with fresh(weak).handshake() as line:
        kind, body = line.join()
        want((kind, body) == (h.CLOSE, b"\x09"), "CLOSE(9) for 1024 bits")

    # §5: roster, forwarding, order, replacement
    with fresh().handshake() as a, fresh(kat.keys["alice"]).handshake() as b, \
            fresh().handshake() as again:
        _, body = a.join()
        want(body[10:12] == b"\0\0", "alone")
        _, body = b.join(more=h.frame(h.PING, b"together"))
        want(body[10:] == b"\0\1" + a.sid + key.fp, "b's roster")
        want(b.alive(), "a PING behind JOIN in its record")
        want(a.until(h.JOINED) == (h.JOINED, b.sid + kat.keys["alice"].fp), "JOINED")
        for kind in (1, 2, 3, 4):
            a.record(h.frame(h.SEND, b.sid + bytes([kind]) + b"tagg" + b"x" * 16000))
            want(b.until(h.RECV)[1] == a.sid + bytes([kind]) + b"tagg" + b"x" * 16000,
                 "RECV")
        _, body = again.join(a.instance)
        want(body[10:] == b"\0\1" + b.sid + kat.keys["alice"].fp, "roster after replacing")
        want(a.closed() == 6, "CLOSE(6)")
        want(b.until(h.LEFT, h.JOINED) == (h.LEFT, a.sid + b"\2"), "LEFT(2)")
        want(b.until(h.LEFT, h.JOINED) == (h.JOINED, again.sid + key.fp), "then JOINED")
        again.record(h.frame(h.CLOSE, b"\0"))
        want(b.until(h.LEFT) == (h.LEFT, again.sid + b"\0"), "LEFT(0)")
        with fresh().handshake() as c:
            c.join()
            b.until(h.JOINED)
            c.record(h.frame(h.CLOSE, b"\7"))
            want(b.until(h.LEFT) == (h.LEFT, c.sid + b"\1"), "LEFT(1) after CLOSE(7)")
        with fresh().handshake() as c:
            c.join()
            b.until(h.JOINED)
            c.s.close()
            want(b.until(h.LEFT) == (h.LEFT, c.sid + b"\1"), "LEFT(1) after a cut")
    check_rooms(o.port, key, kat.keys["alice"])
    check_key_changes(o.port, key)
    if o.slow:
        for say_m1 in (False, True):
            with fresh() as line:
                line.s.settimeout(15)
                start = time.monotonic()
                if say_m1:
                    line.handshake()
                    line.s.sendall(line.m3)
                try:
                    want(line.s.recv(1) == b"", "cut without CLOSE")
                except ConnectionError:
                    pass
                want(9 < time.monotonic() - start < 12, "after 10 s")
    print(f"ok: {count} checks")


if __name__ == "__main__":
    main()
