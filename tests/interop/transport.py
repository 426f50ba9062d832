"""The transport layer of the client of this folder (§3 to §5, §7 towards the relay)."""

import asyncio
import hmac
import os
import struct
import time
from collections import deque

import hearth as h

PING_AFTER, SILENCE = 15.0, 45.0


def now():
    return time.monotonic()


class Connection:
    """One attempt.  `client` has key, room, instance, pin, options, password_keys() and is told
    connected(), frame() and pump_all()."""

    def __init__(self, client):
        self.client = client
        self.queue = deque()
        self.bytes = 0
        self.wake = asyncio.Event()
        self.pong = None
        self.closing = self.over = False
        self.roster = None
        self.last_sent = self.last_heard = now()
        self.welcomed_at = None
        self.records = 0
        self.reason = None             # how it ended: number of a CLOSE, or a text
        self.error = ""
        self.out = self.m3 = self.join = None
        self.proof_sent = self.answered = False
        self.abandoned = False

    async def run(self):
        """Returns when the connection has ended; self.reason says how."""
        c = self.client
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(c.options.host, c.options.port), 10)
        except (OSError, asyncio.TimeoutError) as e:
            self.reason, self.error = "unreachable", str(e)
            return
        c.reached = True
        self.reader, self.writer = reader, writer
        writer.transport.set_write_buffer_limits(0)
        tasks = []
        try:
            first = await asyncio.wait_for(self.handshake(), 20)
            if self.reason is None:
                tasks.append(asyncio.create_task(self.send_loop()))
                self.put(h.JOIN, first)
                await self.read_loop()
                if self.closing and tasks:
                    await asyncio.wait(tasks, timeout=2)
        except (h.HandshakeError, h.ProtocolError):
            self.reason = self.reason or "cut"
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            self.reason = self.reason if self.reason is not None else "cut"
        finally:
            self.over = True
            self.wake.set()
            for t in tasks:
                t.cancel()
            await self.shut()

    async def shut(self):
        """§3: the orderly end of a TCP connection."""
        if self.abandoned:
            self.client.abandoned.append(self.writer)
            return
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
        except (OSError, asyncio.TimeoutError, RuntimeError):
            pass
        self.writer.close()

    async def handshake(self):
        """§3, initiator, and the body of JOIN.  M3 waits in self.m3 for the first record."""
        c = self.client
        hs = h.Initiator("transport", c.key)
        self.writer.write(hs.m1())
        await self.writer.drain()
        m2 = await self.reader.readexactly(8)
        if m2 == h.MAGIC_OTHER:
            self.reason = "version"
            return None
        head = 32 + h.kem.KCT_BYTES
        m2 += await self.reader.readexactly(head + 2 - 8)
        size = struct.unpack(">H", m2[head:])[0]
        if size > h.MAX_CT2:
            raise h.HandshakeError("length")
        m2 += await self.reader.readexactly(size)
        relay = hs.read_m2(m2)
        self.fp = relay.fp
        if c.pin is not None and c.pin != relay.fp:      # §8: before the key's size
            self.reason = "changed key"
            return None
        if relay.bits < 2048:
            self.reason = "relay key too weak"
            return None
        self.m3 = hs.m3()
        ya = h.ZERO32
        if c.password:
            kjoin = (await c.password_keys(relay.fp))[0]
            self.join = h.Join(kjoin, c.key.fp, relay.fp, hs.th3, True)
            ya = self.join.Y
        self.roster = h.ClientRoster(asks=self.join is not None)
        self.out, self.incoming = h.Chain(hs.ckI), h.Chain(hs.ckR)
        return ya + c.room + c.instance

    # -- sending

    def put(self, kind, body):
        if not self.closing and not self.over:
            data = h.frame(kind, body)
            self.queue.append(data)
            self.bytes += len(data)
            self.wake.set()

    def close(self, reason):
        self.put(h.CLOSE, bytes([reason]))
        self.closing = True

    async def send_loop(self):
        try:
            while not self.over:
                await self.wake.wait()
                self.wake.clear()
                while self.queue or self.pong is not None:
                    plaintext = bytearray()
                    if self.pong is not None and not self.closing:
                        plaintext += h.frame(h.PONG, self.pong)
                    self.pong = None
                    while self.queue and len(plaintext) + len(self.queue[0]) <= h.MAX_PLAINTEXT:
                        data = self.queue.popleft()
                        self.bytes -= len(data)
                        plaintext += data
                    if not plaintext:
                        continue
                    record = h.L(self.out.seal(bytes(plaintext)))
                    m3, self.m3 = self.m3, None
                    self.last_sent = now()
                    self.writer.write((m3 or b"") + record)
                    await self.writer.drain()
                    self.client.pump_all()
                if self.closing:
                    return
        except OSError:
            pass

    # -- receiving

    async def read_loop(self):
        verified = False
        try:
            while True:
                size = struct.unpack(">H", await self.reader.readexactly(2))[0]
                if not h.MIN_RECORD_BYTES <= size <= h.MAX_RECORD_BYTES:
                    raise h.ProtocolError("length")
                plaintext = self.incoming.open(await self.reader.readexactly(size))
                self.last_heard = now()
                if not verified:
                    verified = True
                    self.client.connected(self)
                self.records += 1
                for kind, body in h.frames(plaintext):
                    f = self.roster.take(kind, body)
                    if kind == h.CLOSE:
                        self.reason = f.fields["reason"]
                        return
                    if kind == h.PING:
                        self.pong = f.fields["data"]
                        self.wake.set()
                    elif kind in (h.SHARE, h.PROOF):
                        if not self.password(kind, f.fields["data"]):
                            return
                    elif kind == h.WELCOME and self.proof_sent and not self.answered:
                        self.reason = "relay does not know the password"
                        self.close(1)
                        return
                    elif kind != h.PONG:
                        self.client.frame(self, f)
                if self.client.drop_after and self.records >= self.client.drop_after:
                    self.client.drop_after = None
                    self.cut()
        except asyncio.IncompleteReadError:
            if self.reason is None:
                self.reason = "cut"
        except h.ProtocolError as e:
            self.reason = "protocol error: " + str(e)
            if verified:
                self.close(3)

    def password(self, kind, data):
        """§7 towards the relay: SHARE, then its answer."""
        if kind == h.SHARE:
            self.join.take(data)       # the roster has seen that it decodes
            self.client.expected = self.fp
            self.proof_sent = True
            self.put(h.PROOF, self.join.proof)
            return True
        if not hmac.compare_digest(data, self.join.answer):
            self.reason = "relay does not know the password"
            self.close(1)
            return False
        self.answered = True
        return True

    def cut(self):
        """A fault: the connection is reset, nothing is said."""
        self.over = True
        self.writer.transport.abort()

    def abandon(self):
        """A fault: the relay is left with a connection that says nothing more."""
        self.over = self.abandoned = True
        self.writer.transport.pause_reading()
        self.reader.feed_eof()

    def tick(self):
        if self.out is None or self.closing or self.over:
            return
        if now() - self.last_heard > SILENCE:
            self.reason = "timeout"
            self.close(4)
            asyncio.get_running_loop().call_later(1, self.writer.transport.abort)
        elif now() - self.last_sent >= PING_AFTER and self.m3 is None:
            self.last_sent = now()
            self.put(h.PING, os.urandom(8))
