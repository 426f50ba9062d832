"""A HEARTH/1 relay (§5), independent of the program it tests.

    python3 relay.py --port 0 --home DIR [--password-file F] [--join-key-file F]
                     [--room-capacity N] [--allow FILE] [--min-key-bits N] [--verbose]

Key: DIR/server.pem (made there, 2048 bits, when missing).  First line of standard output:
{"event":"listening","port":N,"fingerprint":"SHA256:..."}; then joined, left, refused, closed.
Standard input may carry faults, one JSON object a line, `fingerprint` naming the members:
  {"type":"cut","fingerprint":F}      TCP reset
  {"type":"remove","fingerprint":F}   CLOSE(8), the room LEFT(3)
  {"type":"close","fingerprint":F,"reason":N}
  {"type":"deaf","fingerprint":F}     from now on nothing it sends is forwarded
"""

import argparse
import asyncio
import hmac
import json
import os
import signal
import struct
import sys
import threading
import time
from collections import OrderedDict, deque

import hearth as h

JOIN_TIMEOUT = 10.0
MAX_PENDING, MAX_PENDING_ADDRESS = 64, 16
MAX_CLIENTS, MAX_CLIENTS_ADDRESS = 1024, 64
MAX_UNDELIVERED = 1 << 20
STALL, MAX_QUEUE_AGE = 15.0, 60.0
PING_AFTER, SILENCE = 15.0, 45.0
HANDSHAKES_PER_SECOND = 50


def event(name, **more):
    print(json.dumps({"event": name, **more}), flush=True)


def loopback(address):
    return address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1")


class Address:
    """What is remembered of an address: wrong passwords (§7)."""

    def __init__(self):
        self.lock = asyncio.Lock()     # FIFO: JOINs wait unchecked behind a wrong one
        self.wrong, self.last = 0, 0.0


class Connection:
    """One TCP connection, from accept to its end."""

    def __init__(self, relay, reader, writer):
        self.relay, self.reader, self.writer = relay, reader, writer
        self.address = writer.get_extra_info("peername")[0]
        self.accepted = time.monotonic()
        self.identity = self.sid = self.room = self.instance = None
        self.out = None                # Chain, once the handshake is done
        self.verified = False
        self.queue = deque()           # (frame, its sender or None, since)
        self.wake = asyncio.Event()
        self.pong = None               # the one PONG that may be queued
        self.share = 0                 # own bytes waiting at receivers (§10)
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.last_sent = self.last_heard = time.monotonic()
        self.closing = False           # a CLOSE is the last frame of the queue
        self.finished = asyncio.Event()
        self.answering = None          # the task that decides on a JOIN
        self.why = 1                   # LEFT's reason, should it end now
        self.deaf = False
        self.tasks = []

    # -- sending

    def put(self, kind, body, sender=None):
        if self.closing or self.finished.is_set():
            return
        data = h.frame(kind, body)
        if sender is not None:
            sender.charge(len(data) - 2)      # payload + 14
        self.queue.append((data, sender, time.monotonic()))
        self.wake.set()

    def charge(self, n):
        """§10: beyond 1 MiB waiting at receivers the sender is not read, until half is gone."""
        self.share += n
        if self.share > MAX_UNDELIVERED:
            self.may_read.clear()
        elif self.share <= MAX_UNDELIVERED // 2 and not self.may_read.is_set():
            self.last_heard = time.monotonic()     # time without reading does not count
            self.may_read.set()

    def close(self, reason):
        """CLOSE(reason) behind what is queued; then the connection ends."""
        if self.out is None or not self.verified:
            self.finish()
            return
        self.put(h.CLOSE, bytes([reason]))
        self.closing = True

    def finish(self):
        self.finished.set()
        self.wake.set()
        self.may_read.set()

    async def write(self, data):
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), STALL)

    async def send_loop(self):
        """All frames that are ready go into one record (§4)."""
        try:
            while not self.finished.is_set():
                await self.wake.wait()
                self.wake.clear()
                while self.queue or self.pong is not None:
                    plaintext = bytearray()
                    if self.pong is not None and not self.closing:
                        plaintext += h.frame(h.PONG, self.pong)
                    self.pong = None
                    taken = []
                    while self.queue and len(plaintext) + len(self.queue[0][0]) <= h.MAX_PLAINTEXT:
                        taken.append(self.queue.popleft())
                        plaintext += taken[-1][0]
                    if plaintext:
                        self.last_sent = time.monotonic()
                        try:
                            await self.write(h.L(self.out.seal(bytes(plaintext))))
                        finally:
                            for data, sender, _ in taken:
                                if sender is not None:
                                    sender.charge(2 - len(data))
                if self.closing:
                    break
        except asyncio.TimeoutError:
            self.relay.log("stalled", self)
        except (ConnectionError, OSError):
            pass
        finally:
            self.finish()

    # -- reading

    async def run(self):
        try:
            await asyncio.wait_for(self.handshake(), JOIN_TIMEOUT)
            if not self.finished.is_set():
                self.tasks.append(asyncio.create_task(self.send_loop()))
                read = asyncio.create_task(self.read_loop())
                done = asyncio.create_task(self.finished.wait())
                self.tasks += [read, done]
                await asyncio.wait([read, done], return_when=asyncio.FIRST_COMPLETED)
                if self.closing and not self.finished.is_set():   # a CLOSE is on its way out
                    await asyncio.wait([done], timeout=2)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError, ConnectionError, OSError,
                h.HandshakeError):
            pass
        finally:
            await self.end()

    async def handshake(self):
        """§3, responder; no detail to the outside about any failure."""
        m1 = b""
        while len(m1) < 40:
            piece = await self.reader.read(40 - len(m1))
            m1 += piece
            if len(m1) >= 8 and m1[:8] != h.MAGIC:
                await self.write(h.MAGIC_OTHER)
                self.finish()
                return
            if not piece:
                self.finish()
                return
        async with self.relay.handshakes:
            await self.relay.handshake_turn()
            hs = h.Responder("transport", self.relay.key)
            hs.read_m1(m1)
            await self.write(hs.m2())
        m3 = await self.reader.readexactly(2)
        size = struct.unpack(">H", m3)[0]
        if size > h.MAX_CT_TRANSPORT:
            raise h.HandshakeError("length")
        m3 += await self.reader.readexactly(size)
        self.identity = hs.read_m3(m3)
        self.th3 = hs.th3
        self.incoming, self.out = h.Chain(hs.ckI), h.Chain(hs.ckR)
        self.frames = h.RelayReader()

    async def record(self):
        size = struct.unpack(">H", await self.reader.readexactly(2))[0]
        if not h.MIN_RECORD_BYTES <= size <= h.MAX_RECORD_BYTES:
            raise h.ProtocolError("length")
        plaintext = self.incoming.open(await self.reader.readexactly(size))
        self.last_heard = time.monotonic()
        return plaintext

    async def read_loop(self):
        try:
            while not self.finished.is_set():
                await self.may_read.wait()
                plaintext = await self.record()
                first, self.verified = not self.verified, True
                for kind, body in h.frames(plaintext):
                    if first and kind != h.CLOSE and not self.policy():
                        return
                    first = False
                    f = self.frames.take(kind, body)
                    if kind == h.CLOSE:
                        self.why = 0 if f.fields["reason"] == 0 else 1
                        self.finish()
                        return
                    self.take(f)
                    if self.closing:
                        return
        except h.ProtocolError as e:
            self.relay.log("protocol error", self, str(e))
            self.close(3)
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            self.finish()

    def policy(self):
        """§3, §5: 9, then 2, as soon as the first record has verified."""
        if self.identity.bits < self.relay.options.min_key_bits:
            return self.refuse(9)
        if self.relay.allow is not None and self.identity.fp not in self.relay.allow:
            return self.refuse(2)
        return True

    def refuse(self, reason):
        event("refused", fingerprint=h.fp_text(self.identity.fp), reason=reason)
        self.close(reason)
        return False

    def take(self, f):
        v = f.fields
        if f.kind == h.PING:
            self.pong = v["data"]      # a newer one replaces it
            self.wake.set()
        elif f.kind == h.JOIN:
            self.instance, self.wanted = v["instance"], v["room"]
            self.answering = asyncio.create_task(self.answer(v["proof"]))
            self.tasks.append(self.answering)
        elif f.kind == h.SEND and self.room is not None and not self.deaf:
            other = self.room.get(v["sid"])
            if other is not None and other is not self:
                other.put(h.RECV, self.sid + bytes([v["kind"]]) + v["tag"] + v["payload"], self)

    async def answer(self, proof):
        """§7, then §5: password, then room; the answer to a JOIN."""
        relay = self.relay
        if relay.kjoin is not None:
            place = relay.places.setdefault(self.address, Address())
            try:
                await asyncio.wait_for(place.lock.acquire(), 10)
            except asyncio.TimeoutError:
                self.finish()          # has waited 10 s: cut
                return
            try:
                if self.finished.is_set():
                    return
                good = hmac.compare_digest(proof, h.join_proof(relay.kjoin, self.th3))
                now = time.monotonic()
                if good or now - place.last > 600:
                    place.wrong = 0
                if not good:
                    place.wrong += 1
                    place.last = now
                    await asyncio.sleep(min(60, 2 ** (place.wrong - 1)))
                    await relay.wrong_turn()
                    self.refuse(1)
                    return
            finally:
                place.lock.release()
        if not self.finished.is_set():
            relay.join(self)

    # -- the end

    async def end(self):
        """§3: shut down writing, discard for at most 1 s and 64 KiB, then close."""
        self.finish()
        self.relay.leave(self)
        for data, sender, _ in self.queue:
            if sender is not None:
                sender.charge(2 - len(data))
        self.queue.clear()
        for task in self.tasks:
            if task is not self.answering:      # a wrong password is waited for all the same
                task.cancel()
        try:
            if self.writer.can_write_eof():
                self.writer.write_eof()
            async def discard():
                left = 65536
                while left > 0:
                    piece = await self.reader.read(4096)
                    if not piece:
                        return
                    left -= len(piece)
            await asyncio.wait_for(discard(), 1)
        except (asyncio.TimeoutError, ConnectionError, OSError, RuntimeError):
            pass
        self.writer.close()
        self.relay.connections.discard(self)


class Relay:
    def __init__(self, options):
        self.options = options
        self.key = h.load_identity(os.path.join(options.home, "server.pem"))
        self.kjoin = None
        if options.password_file:
            password = first_line(options.password_file)
            if password:
                self.kjoin = h.password_keys(password, self.key.fp)[0]
        elif options.join_key_file:
            import base64
            text = first_line(options.join_key_file).removeprefix("hearth-join:")
            self.kjoin = base64.b64decode(text + "=" * (-len(text) % 4))
        self.allow = None
        if options.allow:
            with open(options.allow) as f:
                self.allow = {h.fp_from_text(x.strip()) for x in f
                              if x.strip() and not x.startswith("#")}
        self.rooms = {}                # tag -> OrderedDict sid -> Connection
        self.connections = set()
        self.places = {}
        self.handshakes = asyncio.Semaphore(4)
        self.starts = deque()
        self.turn = asyncio.Lock()
        self.last_wrong = 0.0

    def log(self, what, connection, more=""):
        if self.options.verbose:
            who = connection.identity
            print(f"relay: {what} {h.fp_text(who.fp) if who else connection.address} {more}",
                  file=sys.stderr, flush=True)

    async def handshake_turn(self):
        """§10: at most 50 handshakes begun a second; the others wait in order."""
        async with self.turn:
            now = time.monotonic()
            while self.starts and now - self.starts[0] > 1:
                self.starts.popleft()
            if len(self.starts) >= HANDSHAKES_PER_SECOND:
                await asyncio.sleep(1 - (now - self.starts[0]))
            self.starts.append(time.monotonic())

    async def wrong_turn(self):
        """§7: over all addresses at most one wrong answer a second."""
        async with self.turn_wrong:
            await asyncio.sleep(max(0, self.last_wrong + 1 - time.monotonic()))
            self.last_wrong = time.monotonic()

    async def accept(self, reader, writer):
        writer.transport.set_write_buffer_limits(0)
        c = Connection(self, reader, writer)
        self.connections.add(c)
        self.limit_pending(c)
        await c.run()

    def limit_pending(self, newest):
        """§10: 64 pending, 16 of one address; the oldest of the address with the most goes."""
        pending = [c for c in self.connections if c.room is None and not c.finished.is_set()]
        by = {}
        for c in pending:
            by.setdefault(c.address, []).append(c)
        mine = by.get(newest.address, [])
        if len(mine) > MAX_PENDING_ADDRESS and not loopback(newest.address):
            victims = mine
        elif len(pending) > MAX_PENDING:
            victims = max(by.values(), key=len)
        else:
            return
        oldest = min(victims, key=lambda c: c.accepted)
        oldest.finish()
        oldest.writer.transport.abort()

    def join(self, c):
        """§5: replace by instance, capacity, WELCOME, JOINED."""
        room = self.rooms.setdefault(c.wanted, OrderedDict())
        old = next((m for m in room.values()
                    if m.identity.fp == c.identity.fp and m.instance == c.instance), None)
        members = [m for m in self.connections if m.room is not None and m is not old]
        same = [m for m in members if m.address == c.address]
        full = len(room) - (old is not None) >= self.options.room_capacity
        if full or len(members) >= MAX_CLIENTS or (
                len(same) >= MAX_CLIENTS_ADDRESS and not loopback(c.address)):
            if not room:
                del self.rooms[c.wanted]
            c.refuse(5)
            return
        if old is not None:
            self.leave(old, 2)
            old.close(6)
            room = self.rooms.setdefault(c.wanted, OrderedDict())
        c.sid = os.urandom(8)          # never zero, never again: by chance
        body = c.sid + struct.pack(">HH", self.options.room_capacity, len(room))
        c.put(h.WELCOME, body + b"".join(s + m.identity.fp for s, m in room.items()))
        for m in room.values():
            m.put(h.JOINED, c.sid + c.identity.fp)
        room[c.sid] = c
        c.room = room
        event("joined", fingerprint=h.fp_text(c.identity.fp), sid=c.sid.hex())

    def leave(self, c, why=None):
        room, c.room = c.room, None
        if room is None:
            return
        del room[c.sid]
        why = c.why if why is None else why
        for m in room.values():
            m.put(h.LEFT, c.sid + bytes([why]))
        if not room:
            self.rooms = {tag: r for tag, r in self.rooms.items() if r}
        event("left", fingerprint=h.fp_text(c.identity.fp), sid=c.sid.hex(), why=why)

    async def clock(self):
        """§5 and §10: JOIN within 10 s, PING, silence, age of the oldest queued frame."""
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for c in list(self.connections):
                if c.finished.is_set() or c.out is None:
                    continue
                if c.answering is None and not c.closing and now - c.accepted > JOIN_TIMEOUT:
                    c.finish()
                    c.writer.transport.abort()
                    continue
                if c.closing:
                    continue
                if not c.may_read.is_set():
                    c.last_heard = now
                if c.queue and now - c.queue[0][2] > MAX_QUEUE_AGE:
                    c.close(10)
                elif now - c.last_heard > SILENCE:
                    c.close(4)
                elif now - c.last_sent >= PING_AFTER:
                    c.last_sent = now
                    c.put(h.PING, os.urandom(8))

    def fault(self, line):
        """The faults that standard input may ask for."""
        try:
            o = json.loads(line)
            fp = h.fp_from_text(o["fingerprint"])
        except (ValueError, KeyError):
            return
        for c in list(self.connections):
            if c.identity is None or c.identity.fp != fp or c.finished.is_set():
                continue
            if o["type"] == "cut":
                c.finish()
                c.writer.transport.abort()
            elif o["type"] == "remove":
                self.leave(c, 3)
                c.close(8)
            elif o["type"] == "close":
                c.close(o["reason"])
            elif o["type"] == "deaf":
                c.deaf = True

    async def serve(self):
        self.turn_wrong = asyncio.Lock()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for s in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(s, stop.set)
        server = await asyncio.start_server(self.accept, self.options.host, self.options.port,
                                            backlog=256)
        event("listening", port=server.sockets[0].getsockname()[1],
              fingerprint=h.fp_text(self.key.fp))

        def stdin():
            for line in sys.stdin:
                loop.call_soon_threadsafe(self.fault, line)
        threading.Thread(target=stdin, daemon=True).start()
        ticking = asyncio.create_task(self.clock())
        await stop.wait()
        server.close()
        ticking.cancel()
        for c in list(self.connections):
            c.close(7)
        await asyncio.sleep(0)
        if self.connections:
            await asyncio.wait([asyncio.create_task(c.finished.wait())
                                for c in self.connections], timeout=2)
        event("stopping")


def first_line(path):
    with open(path, encoding="utf-8") as f:
        return f.readline().rstrip("\r\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=40623)
    p.add_argument("--home", required=True)
    p.add_argument("--password-file")
    p.add_argument("--join-key-file")
    p.add_argument("--room-capacity", type=int, default=64)
    p.add_argument("--allow")
    p.add_argument("--min-key-bits", type=int, default=2048)
    p.add_argument("--verbose", action="store_true")
    options = p.parse_args()

    async def run():
        await Relay(options).serve()
    asyncio.run(run())
    sys.stdout.flush()
    os._exit(0)                        # the thread on standard input may still be waiting


if __name__ == "__main__":
    main()
