"""A HEARTH/2 relay (§5, §7), independent of the program it tests.

    python3 relay.py --port 0 --home DIR [--password-file F] [--join-key-file F] [--operators F]
                     [--motd F] [--room-capacity N] [--allow FILE] [--min-key-bits N] [--verbose]

Key: DIR/server.pem (made there, 2048 bits, when missing).  First line of standard output:
{"event":"listening","port":N,"fingerprint":"SHA256:..."}; then joined, left, refused.
Standard input may carry faults, one JSON object a line, `fingerprint` naming the members:
  {"type":"cut","fingerprint":F}      TCP reset
  {"type":"remove","fingerprint":F}   CLOSE(8), the room LEFT(3)
  {"type":"close","fingerprint":F,"reason":N}
  {"type":"deaf","fingerprint":F}     from now on nothing it sends is forwarded
  {"type":"hostile","what":[MODE, ...]}   from now on this relay is an enemy (HOSTILE below)
  {"type":"counts"}                   an event with how many frames of each type clients have sent
"""

import argparse
import asyncio
import hmac
import ipaddress
import json
import os
import random
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
MAX_OWN_FRAMES = 4096
STALL, MAX_QUEUE_AGE = 15.0, 60.0
PING_AFTER, SILENCE = 15.0, 45.0
HANDSHAKES_PER_SECOND = 200
ADMIN_PER_MINUTE, MAX_BANS, MAX_BAN_SECONDS = 30, 256, 31536000
MAX_EARLY_BYTES = 65536                # frames behind a JOIN that wait for the WELCOME
MAX_DELAY, DELAY_FORGOTTEN = 60, 600

HOSTILE = {
    "drop": "every fifth record of a channel disappears",
    "replay": "every third record of a channel comes twice",
    "reorder": "every fourth record of a channel comes after the next one",
    "flip": "one bit of every fifth payload of a handshake or channel changes",
    "box": "every second PART has the common of the PART before it",
    "roster": "newcomers are named with the FP of somebody else",
    "ghost": "WELCOME names one member more, who is nobody",
    "answer": "any PROOF is taken, and answered with noise",
    "no answer": "any PROOF is taken, and answered with the WELCOME alone",
    "mirror": "every third payload goes back to who sent it, too",
}


def event(name, **more):
    print(json.dumps({"event": name, **more}), flush=True)


def place_of(peer):
    """§10: an IPv4 address or an IPv6 /64; loopback addresses count alone."""
    address = ipaddress.ip_address(peer.split("%")[0])
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.version == 4 or address.is_loopback or address.is_link_local:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def loopback(place):
    return place.startswith("127.") or place == "::1"


class Place:
    """What is remembered of an address: wrong passwords (§7)."""

    def __init__(self):
        self.lock = asyncio.Lock()     # held while an answer is delayed; PROOFs wait in order
        self.wrong, self.last = 0, 0.0


class Turns:
    """What waits for one receiver: members in turn, the relay's own frames at their place (§5)."""

    def __init__(self):
        self.segments = deque()        # a relay's frame, or {sender: deque of frames}
        self.own = 0

    def __bool__(self):
        return bool(self.segments)

    def put(self, data, sender, charged):
        item = (data, charged, time.monotonic())
        if sender is None:
            self.segments.append(item)
            self.own += 1
            return
        if not self.segments or not isinstance(self.segments[-1], OrderedDict):
            self.segments.append(OrderedDict())
        self.segments[-1].setdefault(sender, deque()).append(item)

    def head(self):
        first = self.segments[0]
        return first if isinstance(first, tuple) else next(iter(first.values()))[0]

    def pop(self):
        first = self.segments[0]
        if isinstance(first, tuple):
            self.segments.popleft()
            self.own -= 1
            return first
        sender, frames = next(iter(first.items()))
        item = frames.popleft()
        del first[sender]
        if frames:
            first[sender] = frames     # behind the others
        elif not first:
            self.segments.popleft()
        return item

    def everything(self):
        while self:
            yield self.pop()

    def oldest(self):
        return min((i[2] for s in self.segments for i in (
            [s] if isinstance(s, tuple) else [q[0] for q in s.values()])), default=None)


class Connection:
    """One TCP connection, from accept to its end."""

    def __init__(self, relay, reader, writer):
        self.relay, self.reader, self.writer = relay, reader, writer
        self.address = place_of(writer.get_extra_info("peername")[0])
        self.accepted = time.monotonic()
        self.identity = self.sid = self.room = self.instance = self.wanted = None
        self.out = None                # Chain, once the handshake is done
        self.verified = False
        self.queue = Turns()
        self.wake = asyncio.Event()
        self.pong = None               # the one PONG that may be queued
        self.share = 0                 # own bytes waiting at receivers (§10)
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.last_sent = self.last_heard = time.monotonic()
        self.closing = False           # a CLOSE is the last frame of the queue
        self.finished = asyncio.Event()
        self.answering = None          # the task that decides on a JOIN
        self.proof = None              # future of the client's PROOF
        self.proved_in_time = False    # JOIN, and PROOF where one is asked for, have come
        self.early, self.early_bytes = [], 0
        self.admins = deque()          # times, for 30 a minute
        self.kicked = None             # reason, while a JOIN is still being answered
        self.why = 1                   # LEFT's reason, should it end now
        self.deaf = False
        self.tasks = []
        self.held = self.last_common = None     # of a hostile relay

    # -- sending

    def put(self, kind, body, sender=None, charged=None):
        """`sender`: takes turns with others; `charged`: whose share it counts for (§10)."""
        if self.closing or self.finished.is_set():
            return
        charged = charged or sender
        if charged is not None:
            charged.charge(self.weight(body))
        self.queue.put(h.frame(kind, body), sender, charged)
        self.wake.set()
        if self.queue.own > MAX_OWN_FRAMES and not self.closing:
            self.close(10)

    @staticmethod
    def weight(body):
        return len(body) - 13 + 256    # payload + 256

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
        if not self.closing:
            self.queue.put(h.frame(h.CLOSE, bytes([reason])), None, None)
            self.closing = True
            self.wake.set()

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
                    plaintext, taken = bytearray(), []
                    if self.pong is not None and not self.closing:
                        plaintext += h.frame(h.PONG, self.pong)
                    self.pong = None
                    while self.queue and len(plaintext) + len(self.queue.head()[0]) <= h.MAX_PLAINTEXT:
                        taken.append(self.queue.pop())
                        plaintext += taken[-1][0]
                    if plaintext:
                        self.last_sent = time.monotonic()
                        try:
                            await self.write(h.L(self.out.seal(bytes(plaintext))))
                        finally:
                            for item in taken:
                                self.paid(item)
                if self.closing:
                    break
        except asyncio.TimeoutError:
            self.relay.log("stalled", self)
        except (ConnectionError, OSError):
            pass
        finally:
            self.finish()

    def paid(self, item):
        data, charged, _ = item
        if charged is not None:
            charged.charge(-self.weight(data[3:]))

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
        m1, size = b"", h.M1_BYTES["transport"]
        while len(m1) < size:
            piece = await self.reader.read(size - len(m1))
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
            hs = h.Responder("transport", self.relay.key, session=self.relay.session)
            hs.read_m1(m1)
            await self.write(hs.m2())
        m3 = await self.reader.readexactly(2)
        size = struct.unpack(">H", m3)[0]
        if size > h.MAX_CT3_TRANSPORT:
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
                    self.relay.seen[h.FRAME_NAMES[kind]] += 1
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
        relay = self.relay
        if self.identity.bits < relay.options.min_key_bits:
            return self.refuse(9)
        if relay.allow is not None and self.identity.fp not in relay.allow \
                or relay.banned(self.identity.fp):
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
            self.answering = asyncio.create_task(self.answer(v["ya"]))
            self.tasks.append(self.answering)
        elif f.kind == h.PROOF:
            self.proved_in_time = True
            self.proof.set_result(v["data"])
        elif f.kind == h.PONG:
            pass
        elif self.room is None:        # waits for the WELCOME
            self.early.append(f)
            self.early_bytes += 64 + sum(len(x) for x in v.values() if isinstance(x, bytes))
            if self.early_bytes > MAX_EARLY_BYTES:
                self.may_read.clear()
        else:
            self.forward(f)

    def forward(self, f):
        v = f.fields
        if f.kind == h.ADMIN:
            self.relay.admin(self, v)
        elif not self.deaf and f.kind == h.SEND:
            other = self.room.get(v["sid"])
            if other is not None and other is not self:
                self.relay.pass_on(self, other, h.RECV, self.sid + bytes([v["kind"]]) + v["tag"]
                                   + v["payload"])
        elif not self.deaf and f.kind == h.CAST:
            done = {self.sid}
            for sid, tag, box in v["entries"]:
                other = self.room.get(sid)
                if other is not None and sid not in done:
                    done.add(sid)
                    self.relay.pass_on(self, other, h.PART, self.sid + tag + box + v["common"])

    # -- the answer to a JOIN

    async def answer(self, ya):
        """§7, then §5: password, then room."""
        relay = self.relay
        if relay.kjoin is None:
            self.proved_in_time = True
            relay.join(self)
            return
        if ya == h.ZERO32:
            self.refuse(1)             # a password is needed
            return
        join = h.Join(relay.kjoin, self.identity.fp, relay.key.fp, self.th3, False)
        try:
            join.take(ya)
        except ValueError:
            self.close(3)
            return
        place = relay.places.setdefault(self.address, Place())
        while place.lock.locked() and self.identity.fp not in relay.proven:
            await asyncio.sleep(0.05)  # no SHARE while an answer is delayed; JOIN_TIMEOUT cuts
            if self.finished.is_set():
                return
        self.proof = asyncio.get_running_loop().create_future()
        self.frames.proving = True
        self.put(h.SHARE, join.Y)
        proof = await self.proof
        known = self.identity.fp in relay.proven
        if not known:
            try:
                await asyncio.wait_for(place.lock.acquire(), JOIN_TIMEOUT)
            except asyncio.TimeoutError:
                self.finish()          # has waited 10 s: cut
                return
        try:
            if self.finished.is_set():
                return
            good = hmac.compare_digest(proof, join.proof) or bool(
                relay.hostile & {"answer", "no answer"})
            now = time.monotonic()
            if good or now - place.last > DELAY_FORGOTTEN:
                place.wrong = 0
            if not good:
                place.wrong += 1
                place.last = now
                if known:
                    await place.lock.acquire()
                    known = False
                await asyncio.sleep(min(MAX_DELAY, 2 ** (place.wrong - 1)))
                self.refuse(1)
                return
        finally:
            if not known:
                place.lock.release()
        relay.proven.add(self.identity.fp)
        if not self.finished.is_set():
            if "no answer" not in relay.hostile:
                self.put(h.PROOF, os.urandom(32) if "answer" in relay.hostile else join.answer)
            relay.join(self)

    # -- the end

    async def end(self):
        """§3: shut down writing, discard for at most 1 s and 64 KiB, then close."""
        self.finish()
        self.relay.leave(self)
        for item in self.queue.everything():
            self.paid(item)
        for task in self.tasks:
            if task is not self.answering or self.proof is None or not self.proof.done():
                task.cancel()          # a wrong password is waited for when the connection is gone
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
    """A relay: who may join, and the rooms with their connections."""

    def __init__(self, options):
        self.options = options
        self.key = h.load_identity(os.path.join(options.home, "server.pem"))
        self.session = h.SessionKey.of_relay(self.key)
        self.kjoin = None
        if options.password_file:
            password = lines(options.password_file)[0]
            if password:
                self.kjoin = h.password_keys(password, self.key.fp)[0]
        elif options.join_key_file:
            self.kjoin = h.join_key(lines(options.join_key_file)[0])
        self.allow = fingerprints(options.allow) if options.allow else None
        self.operators = fingerprints(options.operators) if options.operators else set()
        self.motd = "\n".join(lines(options.motd)).encode() if options.motd else b""
        self.bans = {}                 # FP -> until
        self.rooms = {}                # tag -> OrderedDict sid -> Connection
        self.connections = set()
        self.places = {}
        self.proven = set()            # FPs that have given a right PROOF
        self.handshakes = asyncio.Semaphore(4)
        self.starts = deque()
        self.turn = asyncio.Lock()
        self.hostile = set()
        self.counts = {}
        self.seen = dict.fromkeys(h.FRAME_NAMES.values(), 0)       # frames of clients

    def log(self, what, connection, more=""):
        if self.options.verbose:
            who = connection.identity
            print(f"relay: {what} {h.fp_text(who.fp) if who else connection.address} {more}",
                  file=sys.stderr, flush=True)

    async def handshake_turn(self):
        """§10: a bound on handshakes begun in a second; the others wait in order."""
        async with self.turn:
            now = time.monotonic()
            while self.starts and now - self.starts[0] > 1:
                self.starts.popleft()
            if len(self.starts) >= HANDSHAKES_PER_SECOND:
                await asyncio.sleep(1 - (now - self.starts[0]))
            self.starts.append(time.monotonic())

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

    # -- rooms

    def members(self, fp=None):
        return [m for r in list(self.rooms.values()) for m in list(r.values())
                if fp is None or m.identity.fp == fp]

    def join(self, c):
        """§5: replace by instance, capacity, WELCOME, JOINED."""
        if self.banned(c.identity.fp):
            c.refuse(2)
            return
        if c.kicked is not None:
            c.refuse(c.kicked)
            return
        room = self.rooms.setdefault(c.wanted, OrderedDict())
        old = next((m for m in room.values()
                    if m.identity.fp == c.identity.fp and m.instance == c.instance), None)
        members = [m for m in self.members() if m is not old]
        same = [m for m in members if m.address == c.address]
        full = len(room) - (old is not None) >= self.options.room_capacity
        if full or old is None and (len(members) >= MAX_CLIENTS or (
                len(same) >= MAX_CLIENTS_ADDRESS and not loopback(c.address))):
            if not room:
                del self.rooms[c.wanted]
            c.refuse(5)
            return
        if old is not None:
            self.leave(old, 2)
            old.close(6)
            room = self.rooms.setdefault(c.wanted, OrderedDict())
        c.sid = os.urandom(8)          # never zero, never again: by chance
        listed = [(s, m.identity.fp) for s, m in room.items()]
        if "ghost" in self.hostile:
            listed.append((os.urandom(8), os.urandom(32)))
        body = c.sid + struct.pack(">HH", self.options.room_capacity, len(listed))
        c.put(h.WELCOME, body + b"".join(s + fp for s, fp in listed))
        if self.motd:
            c.put(h.NOTICE, b"\0" + self.motd)
        claimed = os.urandom(32) if "roster" in self.hostile else c.identity.fp
        for m in room.values():
            m.put(h.JOINED, c.sid + claimed)
        room[c.sid] = c
        c.room = room
        event("joined", fingerprint=h.fp_text(c.identity.fp), sid=c.sid.hex())
        early, c.early = c.early, []
        for f in early:
            c.forward(f)
        if c.share <= MAX_UNDELIVERED:
            c.may_read.set()

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

    def every(self, name, sender, n):
        """True for each nth call of this name and sender."""
        if name not in self.hostile:
            return False
        key = (name, sender)
        self.counts[key] = self.counts.get(key, 0) + 1
        return self.counts[key] % n == 0

    def pass_on(self, sender, other, kind, body):
        """RECV or PART; and whatever a hostile relay makes of it."""
        if not self.hostile:
            other.put(kind, body, sender)
            return
        record = kind == h.PART or body[8] == 4
        if record and self.every("drop", sender, 5):
            return
        if record and self.every("reorder", sender, 4):
            other.held = kind, body, sender
            return
        if kind == h.PART:
            before, sender.last_common = sender.last_common, body[69:]
            if before and before != body[69:] and self.every("box", sender, 2):
                body = body[:69] + before
        if self.every("flip", sender, 5):
            at = random.randrange(13, len(body))
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
        other.put(kind, body, sender)
        if record and self.every("replay", sender, 3):
            other.put(kind, body, sender)
        if self.every("mirror", sender, 3):
            sender.put(kind, other.sid + body[8:], other)
        if other.held:
            held, other.held = other.held, None
            other.put(*held)

    # -- operators (§5)

    def banned(self, fp):
        until = self.bans.get(fp)
        if until is not None and until <= time.monotonic():
            del self.bans[fp]
            until = None
        return until is not None

    def admin(self, c, v):
        """One RESULT for each ADMIN, in order."""
        now = time.monotonic()
        while c.admins and now - c.admins[0] > 60:
            c.admins.popleft()
        if c.identity.fp not in self.operators:
            status, data = h.NOT_ALLOWED, b""
        elif len(c.admins) >= ADMIN_PER_MINUTE:
            status, data = h.TOO_MUCH, b""
        else:
            c.admins.append(now)
            status, data = self.operate(v["verb"], v["argument"])
        c.put(h.RESULT, v["request"] + bytes([status]) + data, charged=c)

    def operate(self, verb, argument):
        if verb in (h.KICK, h.BAN, h.UNBAN):
            if len(argument) != (36 if verb == h.BAN else 32):
                return h.BAD_ARGUMENT, b""
            fp, seconds = argument[:32], int.from_bytes(argument[32:], "big")
            if verb == h.UNBAN:
                if not self.banned(fp):
                    return h.NOTHING_THERE, b""
                del self.bans[fp]
                return h.DONE, b""
            if verb == h.BAN and not 1 <= seconds <= MAX_BAN_SECONDS:
                return h.BAD_ARGUMENT, b""
            if fp in self.operators:
                return h.NOT_ALLOWED, b""
            if verb == h.BAN:
                for other in list(self.bans):
                    self.banned(other)
                if fp not in self.bans and len(self.bans) >= MAX_BANS:
                    return h.TOO_MUCH, b""
                self.bans[fp] = time.monotonic() + seconds
            return self.kick(fp) or verb == h.BAN and (h.DONE, b"") or (h.NOTHING_THERE, b"")
        if verb == h.BANS:
            if argument:
                return h.BAD_ARGUMENT, b""
            now = time.monotonic()
            return h.DONE, b"".join(fp + struct.pack(">I", max(1, round(until - now)))
                                    for fp, until in list(self.bans.items()) if self.banned(fp))
        if verb in (h.ANNOUNCE, h.MOTD):
            if len(argument) > h.MAX_NOTICE_BYTES or verb == h.ANNOUNCE and not argument:
                return h.BAD_ARGUMENT, b""
            try:
                argument.decode("utf-8")
            except UnicodeDecodeError:
                return h.BAD_ARGUMENT, b""
            if verb == h.MOTD:
                self.motd = argument
            else:
                for m in self.members():
                    m.put(h.NOTICE, b"\1" + argument)
            return h.DONE, b""
        return h.UNKNOWN_VERB, b""

    def kick(self, fp):
        found = False
        for m in self.members(fp):
            self.leave(m, 3)
            m.close(8)
            found = True
        for m in self.connections:
            if m.room is None and m.wanted and m.identity.fp == fp and not m.closing:
                m.kicked, found = 8, True
        return (h.DONE, b"") if found else None

    # -- clock and faults

    async def clock(self):
        """§5 and §10: JOIN within 10 s, PING, silence, age of the oldest queued frame."""
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for c in list(self.connections):
                if c.finished.is_set() or c.out is None:
                    continue
                if not c.proved_in_time and not c.closing and now - c.accepted > JOIN_TIMEOUT:
                    c.finish()
                    c.writer.transport.abort()
                    continue
                if c.closing:
                    continue
                if not c.may_read.is_set():
                    c.last_heard = now
                oldest = c.queue.oldest()
                if oldest is not None and now - oldest > MAX_QUEUE_AGE:
                    c.close(10)
                elif now - c.last_heard > SILENCE:
                    c.close(4)
                elif c.wanted and now - c.last_sent >= PING_AFTER:
                    c.last_sent = now
                    c.put(h.PING, os.urandom(8))

    def fault(self, line):
        """The faults that standard input may ask for."""
        try:
            o = json.loads(line)
            if o["type"] == "counts":
                event("counts", frames=self.seen)
                return
            if o["type"] == "hostile":
                self.hostile = set(o["what"]) & set(HOSTILE)
                return
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


def lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines() or [""]


def fingerprints(path):
    return {h.fp_from_text(x.strip()) for x in lines(path) if x.strip() and not x.startswith("#")}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=40623)
    p.add_argument("--home", required=True)
    p.add_argument("--password-file")
    p.add_argument("--join-key-file")
    p.add_argument("--room-capacity", type=int, default=64)
    p.add_argument("--allow")
    p.add_argument("--operators")
    p.add_argument("--motd")
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
