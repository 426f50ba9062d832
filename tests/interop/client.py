"""A HEARTH/1 client (§3 to §9), independent of the program it tests.

    python3 client.py --host 127.0.0.1 --port N --home DIR --nick NAME [--room R]
                      [--password-file F] [--strict-view] [--drop-after N] [--max-wait S]

Key: DIR/identity.pem (made there, 2048 bits, when missing).  JSON lines on standard output:
connected, welcome, joined, left, chat, sent, delivered, undelivered, nick, lost, away,
disconnected, reconnecting, notice, error, bye.  JSON lines on standard input:
  {"type":"chat","text":T}  {"type":"private","to":NICK or SHA256:...,"text":T}
  {"type":"command","text":"/nick x" | "/me t" | "/away t" | "/away" | "/quit"}
and as faults
  {"type":"command","text":"/cut"}       the TCP connection is reset (and made again)
  {"type":"command","text":"/abandon"}   the TCP connection stays open, unread; a new one is made
  {"type":"rehandshake","to":WHO}        a new channel beside the old one (initiator only)
  {"type":"endchannel","to":WHO,"reason":N}
  {"type":"raw","to":WHO,"hex":H}        a record with this plaintext in the channel
  {"type":"replay","to":WHO,"n":N}       the last N acknowledged messages go out again
--strict-view: an error event and exit 3 as soon as a view differs.
--drop-after N: resets the first TCP connection after N records have come in.
--max-wait S: cap on the wait before a new attempt.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import struct
import sys
import threading
import time
import traceback
from collections import deque

import hearth as h

PING_AFTER, SILENCE = 15.0, 45.0
VIEW_SECONDS = 5.0
HANDSHAKE_TIMEOUT = 15.0
CHANNEL_TIMEOUT = 30.0
UNACKED_TIMEOUT = 30.0
GONE_SECONDS = 600.0
GONE_MESSAGES, GONE_BYTES = 1024, 4 << 20
NEVER_AGAIN = {0, 2, 9}
BACKOFF = [1, 2, 4, 8, 16, 30]
WHY = {0: "left", 1: "lost", 2: "replaced", 3: "removed"}
HIGH_WATER = 256 * 1024
M1, M2, M3, PEER_RECORD = 1, 2, 3, 4

ordinals = itertools.count(1)          # one clock for "written before" (§6, flag 4)


def emit(name, **more):
    print(json.dumps({"event": name, **more}), flush=True)


def now():
    return time.monotonic()


class Out:
    """A message of one's own: a CHAT or a NICK, on its way to its addressees."""

    def __init__(self, text=None, action=False, private=False, nick=None):
        self.ordinal = next(ordinals)
        self.id = os.urandom(8)
        self.time = int(time.time() * 1000)
        self.text, self.action, self.private, self.nick = text, action, private, nick
        self.copies = []
        self.reported = False

    @property
    def size(self):
        return len(self.text.encode()) if self.text is not None else 64


class Copy:
    """One Out for one addressee.  state: waiting, acked, given up, void (counts for nothing)."""

    def __init__(self, out, fp, moved=False):
        self.out, self.fp, self.moved = out, fp, moved
        self.seq = None
        self.state = "waiting"
        self.instance = None
        self.sent_at = None
        out.copies.append(self)


class Stream:
    """Both directions between the own instance and one (FP, instance) (§6)."""

    def __init__(self, fp, instance):
        self.fp, self.instance = fp, instance
        self.next_seq = 1
        self.unacked = deque()         # Copies, ascending seq; holes are told with GAP
        self.sent = 0                  # the highest seq, or GAP - 1, that went out
        self.acked_copies = deque(maxlen=64)
        self.ids = set()               # ids ever queued here
        self.received = 0
        self.taken = False
        self.channel = None            # the live one
        self.gone_since = None

    def append(self, copy):
        copy.seq, self.next_seq = self.next_seq, self.next_seq + 1
        copy.instance = self.instance
        self.unacked.append(copy)
        self.ids.add(copy.out.id)

    @property
    def lowest(self):
        return self.unacked[0].seq if self.unacked else self.next_seq


class Channel:
    """A peer channel, from M3 on."""

    def __init__(self, member, tag, send, receive, initiator):
        self.member, self.tag = member, tag
        self.send_chain, self.receive_chain = send, receive
        self.initiator = initiator
        self.born = now()
        self.verified = False          # a record of the other side has verified
        self.hello_in = self.hello_out = self.ack_in = False
        self.stream = None
        self.sent = 0                  # seqs up to here went out on this channel
        self.last_ack = -1
        self.ack_due = None
        self.dead = False

    @property
    def up(self):
        return not self.dead and self.hello_in and self.ack_in


class Member:
    """A roster entry: one sid of the present connection."""

    def __init__(self, sid, fp, initiator):
        self.sid, self.fp, self.initiator = sid, fp, initiator
        self.since = next(ordinals)
        self.joined_at = now()
        self.instance = self.nick = None
        self.waiting = []              # Copies without seq, before the first HELLO
        self.channel = None            # sends here
        self.old = None                # still receives here (initiator with a new channel)
        self.pending = None            # (tag, handshake, since): own attempt, or the answered M1
        self.queued_m1 = None
        self.answered = deque()        # times of M2s, for 6 a minute
        self.refused = False
        self.tries = 0
        self.retry_at = None
        self.shown = self.warned = False
        self.view_queue = deque()      # CHATs whose view is not decided

    def tags(self):
        out = {c.tag for c in (self.channel, self.old) if c is not None}
        if self.pending:
            out.add(self.pending[0])
        return out


class Ghost:
    """Somebody who was lost, and is an addressee for 10 minutes (§6)."""

    def __init__(self, fp, instance, waiting=()):
        self.fp, self.instance = fp, instance
        self.waiting = list(waiting)   # only where no instance is known
        self.until = now() + GONE_SECONDS


class Connection:
    """The transport layer of the client (§3 to §5)."""

    def __init__(self, client):
        self.client = client
        self.queue = deque()
        self.bytes = 0
        self.wake = asyncio.Event()
        self.pong = None
        self.closing = self.over = False
        self.roster = h.ClientRoster()
        self.last_sent = self.last_heard = now()
        self.welcomed_at = None
        self.records = 0
        self.reason = None             # how it ended: number of a CLOSE, or a text
        self.out = self.m3 = None
        self.abandoned = False

    async def run(self):
        """Returns when the connection has ended; self.reason says how."""
        c = self.client
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(c.options.host, c.options.port), 10)
        except (OSError, asyncio.TimeoutError) as e:
            self.reason = "unreachable"
            self.error = str(e)
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
        m2 += await self.reader.readexactly(26)
        size = struct.unpack(">H", m2[32:])[0]
        if size > h.MAX_CT_TRANSPORT:
            raise h.HandshakeError("length")
        m2 += await self.reader.readexactly(size)
        relay = hs.read_m2(m2)
        self.fp = relay.fp
        if c.pin is not None and c.pin != relay.fp:
            self.reason = "changed key"
            return None
        if relay.bits < 2048:
            self.reason = "relay key too weak"
            return None
        proof = h.ZERO32
        if c.password:
            if c.kroom_for != relay.fp:
                c.kjoin, c.kroom = await asyncio.get_running_loop().run_in_executor(
                    None, h.password_keys, c.password, relay.fp)
                c.kroom_for = relay.fp
        self.m3 = hs.m3()
        if c.password:
            proof = h.join_proof(c.kjoin, hs.th3)
        self.out, self.incoming = h.Chain(hs.ckI), h.Chain(hs.ckR)
        return proof + c.room + c.instance

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


class Client:
    def __init__(self, options):
        self.options = options
        self.home = options.home
        self.key = h.load_identity(os.path.join(options.home, "identity.pem"))
        self.fp = self.key.fp
        self.instance = os.urandom(16)
        self.nick = options.nick
        self.away = ""
        self.room = h.room_tag(options.room)
        self.password = None
        if options.password_file:
            with open(options.password_file, encoding="utf-8") as f:
                self.password = f.readline().rstrip("\r\n") or None
        self.kjoin = self.kroom = self.kroom_for = None
        self.drop_after = options.drop_after
        self.reached = self.authenticated = False
        self.address = f"{options.host.lower().rstrip('.')}:{options.port}"
        self.pins = os.path.join(options.home, "interop_pins.json")
        try:
            with open(self.pins) as f:
                self.pin = h.fp_from_text(json.load(f)[self.address])
        except (OSError, KeyError, ValueError):
            self.pin = None
        self.connection = None
        self.fp_s = None
        self.members = {}              # sid -> Member, of the present connection
        self.streams = {}              # (FP, instance) -> Stream
        self.ghosts = []
        self.outs = {}                 # id -> Out, not yet reported
        self.views = []                # [view, from, to or None]: own room views of late
        self.trust = {}                # FP -> nick: seen in this run
        self.input = deque()
        self.input_end = False
        self.abandoned = []            # writers that /abandon left open
        self.departed = []             # members that left while a view was undecided
        self.welcomed = asyncio.Event()
        self.finish = asyncio.Event()
        self.exit = 0
        self.signatures = deque()      # times of M2s, 20 a second

    # -- identity and view

    def sid(self):
        return self.connection.roster.sid

    def room_view(self):
        members = [(sid, fp) for sid, fp in self.connection.roster.members.items()]
        return h.view_hash(self.fp_s, self.room, members + [(self.sid(), self.fp)])

    def private_view(self, member):
        return h.view_hash(self.fp_s, self.room, [(self.sid(), self.fp), (member.sid, member.fp)])

    def roster_changed(self):
        """Remembers since when the own view is what it is (§6: 5 s before to 5 s after)."""
        t = now()
        if self.views and self.views[-1][2] is None:
            self.views[-1][2] = t
        self.views.append([self.room_view(), t, None])
        self.views = [v for v in self.views if v[2] is None or t - v[2] < 4 * VIEW_SECONDS]
        for m in self.members.values():
            self.decide_views(m)

    def view_ended(self):
        if self.views and self.views[-1][2] is None:
            self.views[-1][2] = now()

    # -- the connection

    def connected(self, connection):
        """The relay's first record has verified: pin it (§8)."""
        self.fp_s = connection.fp
        known = self.pin is not None
        if not known:
            self.pin = connection.fp
            try:
                with open(self.pins) as f:
                    pins = json.load(f)
            except (OSError, ValueError):
                pins = {}
            pins[self.address] = h.fp_text(self.pin)
            with open(self.pins + ".new", "w") as f:
                json.dump(pins, f)
            os.replace(self.pins + ".new", self.pins)
        emit("connected", address=self.address, fingerprint=h.fp_text(self.fp_s),
             server="known" if known else "new")

    async def connect_loop(self):
        attempt = 0
        while not self.finish.is_set():
            c = self.connection = Connection(self)
            await c.run()
            self.disconnected()
            lasted = c.welcomed_at is not None and now() - c.welcomed_at >= 30
            if self.finish.is_set():
                return
            reason = c.reason
            if reason == "unreachable" and not self.reached:
                emit("error", code="unreachable", message=c.error, hint="")
                self.stop(1)
                return
            final = reason in h.FINAL_REASONS if isinstance(reason, int) else (
                reason in ("changed key", "relay key too weak")
                or reason == "version" and self.pin is None)
            text = h.REASONS.get(reason, str(reason)) if isinstance(reason, int) else reason
            if reason != "unreachable":
                emit("disconnected", reason=text)
            if final:
                emit("error", code=text, message="the relay closed: " + text, hint="")
                self.stop(1)
                return
            if lasted:
                attempt = 0
            wait = BACKOFF[min(attempt, 5)] * random.uniform(0.5, 1)
            wait = min(wait, self.options.max_wait or wait)
            attempt += 1
            emit("reconnecting", seconds=round(wait, 2))
            try:
                await asyncio.wait_for(self.finish.wait(), wait)
            except asyncio.TimeoutError:
                pass

    def disconnected(self):
        """The members of the last roster stay addressees (§6)."""
        if self.connection.welcomed_at is None:
            return
        self.view_ended()
        for m in self.members.values():
            self.drop_channels(m)
        last, self.members = self.members, {}
        for m in last.values():
            self.lost(m)

    def frame(self, connection, f):
        """WELCOME, JOINED, LEFT, RECV: the roster has checked them."""
        v = f.fields
        if f.kind == h.WELCOME:
            connection.welcomed_at = now()
            emit("welcome", room=self.options.room, members=len(v["members"]))
            self.roster_changed()
            for sid, fp in v["members"]:
                self.add_member(sid, fp)
            self.welcomed.set()
            self.take_input()
        elif f.kind == h.JOINED:
            self.roster_changed()
            self.add_member(v["sid"], v["fp"])
        elif f.kind == h.LEFT:
            self.roster_changed()
            self.member_left(self.members.pop(v["sid"]), v["why"])
        elif f.kind == h.RECV:
            self.payload(self.members[v["sid"]], v["kind"], v["tag"], v["payload"])

    # -- roster

    def add_member(self, sid, fp):
        initiator = (self.fp, self.sid()) < (fp, sid)      # §6: the smaller FP, then sid
        m = self.members[sid] = Member(sid, fp, initiator)
        if initiator:
            self.start_handshake(m)

    def member_left(self, m, why):
        if m.shown:
            self.flush_views(m)
            emit("left", nick=self.shown(m), fingerprint=h.fp_text(m.fp),
                 why=WHY.get(why, "lost"))
        if why in (0, 3):
            self.drop_channels(m)
            for copy in m.waiting:
                self.give_up(copy)
            if m.instance is not None:
                stream = self.streams[m.fp, m.instance]
                if stream.channel is None or stream.channel.member is m:
                    while stream.unacked:
                        self.give_up(stream.unacked.popleft())
            self.move_gone(m.fp)
        else:
            self.lost(m)
        self.settle()

    def lost(self, m):
        """LEFT(1), LEFT(2), or the own connection is gone."""
        self.drop_channels(m)
        self.flush_views_later(m)
        if m.refused:
            return
        if m.instance is None:
            self.ghosts.append(Ghost(m.fp, None, m.waiting))
            self.move_gone(m.fp)
            return
        stream = self.streams[m.fp, m.instance]
        if stream.channel is None:
            stream.gone_since = now()
            self.ghosts = [g for g in self.ghosts
                           if (g.fp, g.instance) != (m.fp, m.instance)]
            self.ghosts.append(Ghost(m.fp, m.instance))
        self.move_gone(m.fp)

    def drop_channels(self, m):
        """Forgets everything of a sid, without a word."""
        for c in (m.channel, m.old):
            if c is not None:
                self.detach(c)
        m.channel = m.old = m.pending = m.retry_at = m.queued_m1 = None

    def detach(self, channel):
        channel.dead = True
        s = channel.stream
        if s is not None and s.channel is channel:
            s.channel = None
            s.gone_since = now()

    def nick_of(self, m):
        return m.nick if m.nick is not None else ""

    def shown(self, m):
        """§9: how the nick is shown among those present."""
        people = [x for x in self.members.values() if x.nick is not None and x is not m] + [m]
        me = (self.nick, self.fp, self.sid() or bytes(8))
        return h.shown_nicks([me] + [(x.nick, x.fp, x.sid) for x in people])[-1]

    # -- pairing (§6)

    def psk(self):
        return self.kroom if self.password else h.ZERO32

    def send_payload(self, m, kind, tag, payload):
        self.connection.put(h.SEND, m.sid + bytes([kind]) + tag + payload)

    def prologue(self, m, initiator):
        me, other = (self.fp, self.sid()), (m.fp, m.sid)
        (fp_i, sid_i), (fp_r, sid_r) = (me, other) if initiator else (other, me)
        return h.peer_prologue(self.fp_s, self.room, fp_i, fp_r, sid_i, sid_r)

    def start_handshake(self, m):
        m.retry_at = None
        tag = os.urandom(4)
        while tag in m.tags():
            tag = os.urandom(4)
        hs = h.Initiator("peer", self.key, self.prologue(m, True), self.psk())
        m.pending = (tag, hs, now())
        self.send_payload(m, M1, tag, hs.m1())

    def try_again(self, m):
        """The initiator tries again after 1, 2, 4 ... 30 s."""
        if m.initiator and not m.refused and self.members.get(m.sid) is m and not m.retry_at:
            m.retry_at = now() + BACKOFF[min(m.tries, 5)]
            m.tries += 1

    def payload(self, m, kind, tag, data):
        if m.refused:
            return
        if kind == M1:
            if not m.initiator and tag not in m.tags():
                m.queued_m1 = (tag, data)
                self.answer_m1(m)
        elif kind == M2:
            if m.initiator and m.pending and m.pending[0] == tag:
                self.take_m2(m, data)
        elif kind == M3:
            if not m.initiator and m.pending and m.pending[0] == tag \
                    and isinstance(m.pending[1], h.Responder):
                self.take_m3(m, data)
        else:
            for c in (m.channel, m.old, m.pending and m.pending[1]):
                if isinstance(c, Channel) and c.tag == tag and not c.dead:
                    self.record(m, c, data)
                    return

    def answer_m1(self, m):
        """At most 6 a minute for a sid, 20 a second over all; the newest M1 waits."""
        t = now()
        while m.answered and t - m.answered[0] > 60:
            m.answered.popleft()
        while self.signatures and t - self.signatures[0] > 1:
            self.signatures.popleft()
        if m.queued_m1 is None or len(m.answered) >= 6 or len(self.signatures) >= 20:
            return
        tag, data = m.queued_m1
        m.queued_m1 = None
        hs = h.Responder("peer", self.key, self.prologue(m, False), self.psk())
        try:
            hs.read_m1(data)
        except h.HandshakeError:
            return
        m.answered.append(t)
        self.signatures.append(t)
        m.pending = (tag, hs, t)       # replaces a pending one
        self.send_payload(m, M2, tag, hs.m2())

    def take_m2(self, m, data):
        tag, hs, _ = m.pending
        m.pending = None
        try:
            other = hs.read_m2(data, m.fp)
        except h.HandshakeError as e:
            self.notice("M2 refused: " + str(e))
            self.try_again(m)
            return
        self.send_payload(m, M3, tag, hs.m3())
        new = Channel(m, tag, h.Chain(hs.ckI), h.Chain(hs.ckR), True)
        if other.bits < 2048:
            self.say(new, h.build_close(9))
            new.dead = True
            self.refuse(m)
            return
        if m.channel is not None:
            # §6: send on the new one only, still receive on the old one; of two that wait
            # for their first record, the one that has verified stays the old one
            if m.channel.verified or m.old is None:
                m.old = m.channel
        m.channel = new
        self.hello(new)

    def take_m3(self, m, data):
        tag, hs, since = m.pending
        m.pending = None
        try:
            other = hs.read_m3(data, m.fp)
        except h.HandshakeError as e:
            self.notice("M3 refused: " + str(e))
            return
        new = Channel(m, tag, h.Chain(hs.ckR), h.Chain(hs.ckI), False)
        new.weak = other.bits < 2048
        m.pending = (tag, new, since)  # until I's first record has verified

    # -- records of a channel

    def say(self, channel, plaintext):
        self.send_payload(channel.member, PEER_RECORD, channel.tag,
                          channel.send_chain.seal(plaintext))

    def hello(self, channel):
        channel.hello_out = True
        self.say(channel, h.build_hello(self.instance, self.nick))
        if self.away:
            self.say(channel, h.build_away(self.away))

    def record(self, m, channel, data):
        try:
            plaintext = channel.receive_chain.open(data)
            if not channel.verified:
                channel.verified = True
                self.first_record(m, channel)
                if channel.dead:
                    return
            self.message(m, channel, h.parse_message(plaintext))
        except h.ProtocolError as e:
            self.notice("channel failed: " + str(e))
            self.end_channel(channel, 3 if channel.verified else None)

    def first_record(self, m, channel):
        if channel.initiator:
            if m.old is not None:      # R has moved: the old one is done
                self.detach(m.old)
                m.old = None
            return
        m.pending = None
        if channel.weak:
            self.say(channel, h.build_close(9))
            channel.dead = True
            self.refuse(m)
            return
        if m.channel is not None:
            self.detach(m.channel)
        m.channel = channel
        self.hello(channel)

    def end_channel(self, channel, reason, received=False):
        """Ends one channel; CLOSE(reason) goes out unless the other side sent it."""
        m = channel.member
        if channel.dead:
            return
        if reason is not None and not received and self.members.get(m.sid) is m:
            self.say(channel, h.build_close(reason))
        self.detach(channel)
        if m.pending and m.pending[1] is channel:
            m.pending = None
        if reason in NEVER_AGAIN:
            self.refuse(m)
        elif m.old is channel:
            m.old = None               # the newer one goes on
        else:
            if m.channel is channel:
                m.channel = None
            self.try_again(m)

    def refuse(self, m):
        """§6: gets nothing more, counts for neither delivered nor undelivered."""
        m.refused = True
        m.pending = m.retry_at = None
        for c in (m.channel, m.old):
            if c is not None:
                self.detach(c)
        m.channel = m.old = None
        copies = list(m.waiting)
        m.waiting = []
        if m.instance is not None and self.streams[m.fp, m.instance].channel is None:
            stream = self.streams[m.fp, m.instance]
            copies += stream.unacked
            stream.unacked.clear()
        for c in copies:
            c.state = "void"
        self.settle()

    def message(self, m, channel, message):
        v = message.fields
        stream = channel.stream
        h.check_state(message, channel.hello_in, stream.sent if stream else 0)
        if message.kind == h.CLOSE:
            self.end_channel(channel, v["reason"], received=True)
        elif message.kind == h.HELLO:
            self.take_hello(m, channel, v)
        elif message.kind == h.ACK:
            self.take_ack(m, channel, v["n"])
        elif message.kind == h.GAP:
            h._need(v["n"] > stream.received, "GAP")
            count = v["n"] - 1 - stream.received
            stream.received = v["n"] - 1
            if count and stream.taken:
                self.in_order(m, lambda: emit("lost", nick=self.shown(m),
                                              fingerprint=h.fp_text(m.fp), count=count))
            self.ack_soon(channel)
        elif message.kind in (h.CHAT, h.NICK):
            self.ack_soon(channel)
            if v["seq"] <= stream.received:
                return                 # seen already
            h._need(v["seq"] == stream.received + 1, "seq above the next")
            stream.received += 1
            stream.taken = True
            if message.kind == h.CHAT:
                self.take_chat(m, v)
            else:
                self.in_order(m, lambda: self.set_nick(m, v["nick"]))
        elif message.kind == h.AWAY and "text" in v:
            self.in_order(m, lambda: emit("away", nick=self.shown(m),
                                          fingerprint=h.fp_text(m.fp), text=v["text"]))

    def take_hello(self, m, channel, v):
        channel.hello_in = True
        key = (m.fp, v["instance"])
        stream = self.streams.get(key)
        if stream is None:
            stream = self.streams[key] = Stream(*key)
        rival = stream.channel
        channel.stream = stream
        stream.channel, stream.gone_since = channel, None
        if rival is not None and rival is not channel and rival.member is not m:
            self.end_channel(rival, 6)     # the newer one takes the stream
        if m.instance is not None and m.instance != v["instance"]:
            old = self.streams[m.fp, m.instance]
            if old.channel is None:
                self.ghosts.append(Ghost(m.fp, m.instance))
        m.instance = v["instance"]
        if not m.shown:
            m.shown = True
            m.nick = v["nick"]
            known = self.trust.get(m.fp)
            taken = any(n.casefold() == v["nick"].casefold() and fp != m.fp
                        for fp, n in self.trust.items())
            self.trust[m.fp] = v["nick"]
            emit("joined", nick=self.shown(m), fingerprint=h.fp_text(m.fp),
                 trust="conflict" if taken else "known" if known is not None else "new",
                 weak=False)
        else:
            self.in_order(m, lambda: self.set_nick(m, v["nick"]))
        # what waited without seq gets it now, in the order it was written
        waiting, m.waiting = m.waiting, []
        for g in self.ghosts:
            if g.fp == m.fp and g.instance is None:
                waiting += g.waiting
        self.ghosts = [g for g in self.ghosts if not (
            g.fp == m.fp and g.instance in (None, m.instance))]
        moved = self.take_gone(m.fp, stream)
        for copy in sorted(waiting + moved, key=lambda c: c.out.ordinal):
            if copy.out.id in stream.ids:
                copy.state = "void"
            else:
                stream.append(copy)
        channel.last_ack = -1
        self.send_ack(channel)
        self.settle()

    def take_gone(self, fp, stream):
        """§6, a restarted client: what a gone instance of the same FP has not acknowledged
        and was never queued for this one.  An instance is not gone while a sid of the FP
        has not said HELLO."""
        if any(m.fp == fp and m.instance is None and not m.refused
               for m in self.members.values()):
            return []
        moved = []
        for other in self.streams.values():
            if other.fp != fp or other is stream or other.channel is not None:
                continue
            if any(m.fp == fp and m.instance == other.instance and not m.refused
                   for m in self.members.values()):
                continue               # its sid is still in the roster
            keep = deque()
            for copy in other.unacked:
                if copy.out.nick is not None:
                    copy.state = "void"
                elif copy.out.id in stream.ids or any(
                        c.fp == fp and c is not copy and c.state in ("waiting", "acked")
                        and c.instance != other.instance for c in copy.out.copies):
                    keep.append(copy)
                else:
                    copy.state = "void"
                    moved.append(Copy(copy.out, fp, moved=True))
            other.unacked = keep
        return moved

    def move_gone(self, fp):
        """An instance is gone while another one of its FP has a channel."""
        for m in self.members.values():
            c = m.channel
            if m.fp == fp and c is not None and not c.dead and c.stream is not None:
                for copy in sorted(self.take_gone(fp, c.stream), key=lambda c: c.out.ordinal):
                    c.stream.append(copy)
                self.pump(m)
                return

    # -- ACK and sending

    def ack_soon(self, channel):
        if channel.ack_due is None:
            channel.ack_due = now() + 0.1

    def send_ack(self, channel):
        """On the channel on which one sends now (§6), once its HELLO has come."""
        channel.ack_due = None
        m = channel.member
        target = m.channel
        if target is None or target.dead or not target.hello_in or target.stream is None:
            return
        if target.last_ack != target.stream.received:
            target.last_ack = target.stream.received
            self.say(target, h.build_ack(target.stream.received))

    def take_ack(self, m, channel, n):
        stream = channel.stream
        first = not channel.ack_in
        while stream.unacked and stream.unacked[0].seq <= n:
            copy = stream.unacked.popleft()
            copy.state = "acked"
            stream.acked_copies.append(copy)
        if first:
            channel.ack_in = True
            channel.sent = n
            m.tries = 0
            self.notice(f"channel up: {channel.tag.hex()} {self.shown(m)}")
        self.pump(m)
        self.settle()

    def pump_all(self):
        for m in self.members.values():
            self.pump(m)

    def pump(self, m):
        """Everything unacknowledged in order, then new messages; GAP over what is missing."""
        c = m.channel
        if c is None or not c.up or c.stream is None or c.stream.channel is not c:
            return
        stream = c.stream
        if stream.lowest > c.sent + 1:
            self.gap(c, stream.lowest)
        for copy in list(stream.unacked):
            if copy.seq <= c.sent:
                continue
            if self.connection.bytes > HIGH_WATER:
                return
            if copy.seq > c.sent + 1:
                self.gap(c, copy.seq)
            self.say_copy(c, copy)
            c.sent = copy.seq
            stream.sent = max(stream.sent, copy.seq)

    def say_copy(self, channel, copy):
        out, m = copy.out, channel.member
        if out.nick is not None:
            self.say(channel, h.build_nick(copy.seq, out.nick))
        else:
            late = copy.moved or out.ordinal < m.since
            flags = (h.FLAG_ACTION * out.action | h.FLAG_PRIVATE * out.private
                     | h.FLAG_LATE * late)
            view = self.private_view(m) if out.private else self.room_view()
            self.say(channel, h.build_chat(copy.seq, out.id, out.time, flags, view, out.text))
        copy.sent_at = now()

    def gap(self, channel, following):
        self.say(channel, h.build_gap(following))
        channel.sent = following - 1
        channel.stream.sent = max(channel.stream.sent, following - 1)

    # -- what comes in

    def in_order(self, m, action):
        """Behind the CHATs of this member whose view is not decided yet."""
        if m.view_queue:
            m.view_queue.append(action)
        else:
            action()

    def set_nick(self, m, nick):
        if nick == m.nick:
            return
        before = self.shown(m)
        m.nick = self.trust[m.fp] = nick
        emit("nick", **{"from": before, "nick": self.shown(m), "fingerprint": h.fp_text(m.fp)})

    def take_chat(self, m, v):
        private = bool(v["flags"] & h.FLAG_PRIVATE)
        same = v["view"] == self.private_view(m) if private else None
        m.view_queue.append({"v": v, "at": now(), "same": same})
        self.decide_views(m)

    def view_matches(self, entry):
        if entry["same"] is not None:
            return entry["same"]
        low, high = entry["at"] - VIEW_SECONDS, entry["at"] + VIEW_SECONDS
        return any(view == entry["v"]["view"] and start <= high and (end is None or end >= low)
                   for view, start, end in self.views)

    def decide_views(self, m, final=False):
        """Shows what is decided: a view that fits at once, another one after 5 s."""
        while m.view_queue:
            entry = m.view_queue[0]
            if callable(entry):
                m.view_queue.popleft()
                entry()
                continue
            same = self.view_matches(entry)
            private = entry["same"] is not None
            if not same and not final and not private and now() < entry["at"] + VIEW_SECONDS:
                return
            m.view_queue.popleft()
            v = entry["v"]
            emit("chat", id=v["id"].hex(), nick=self.shown(m), fingerprint=h.fp_text(m.fp),
                 sent=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(v["time"] / 1000, 2e11)))
                 + f".{v['time'] % 1000:03d}Z",
                 private=bool(v["flags"] & h.FLAG_PRIVATE),
                 action=bool(v["flags"] & h.FLAG_ACTION), late=bool(v["flags"] & h.FLAG_LATE),
                 view="same" if same else "differs", text=v["text"])
            if not same and self.options.strict_view:
                emit("error", code="view", message="a view differs", hint="")
                self.stop(3)

    def flush_views(self, m):
        self.decide_views(m, final=True)

    def flush_views_later(self, m):
        """A member that is gone: what waits for its view is decided by the clock all the same."""
        if m.view_queue:
            self.departed.append(m)

    # -- what goes out

    def addressees(self, out):
        """Room messages: the roster and those lost of late (§6)."""
        for m in self.members.values():
            if m.refused:
                continue
            self.queue_for(m, out)
        for g in self.ghosts:
            if g.instance is None or self.streams[g.fp, g.instance].channel is None:
                self.queue_for(g, out)

    def queue_for(self, who, out):
        """`who`: a Member or a Ghost.  Once in every stream, and without seq where no
        instance is known yet."""
        if who.instance is None:
            who.waiting.append(Copy(out, who.fp))
        elif out.id not in self.streams[who.fp, who.instance].ids:
            self.streams[who.fp, who.instance].append(Copy(out, who.fp))

    def chat(self, text, action=False, ref=None):
        if not 1 <= len(text.encode()) <= h.MAX_TEXT_BYTES:
            self.error("text", "1 to 8192 bytes", ref)
            return
        out = Out(text, action)
        self.addressees(out)
        self.accepted(out, ref)

    def private(self, to, text, ref=None):
        people = self.find(to)
        if not people or not 1 <= len(text.encode()) <= h.MAX_TEXT_BYTES:
            self.error("nobody", "nobody of that name: " + to, ref)
            return
        out = Out(text, private=True)
        for m in people:
            self.queue_for(m, out)
        self.accepted(out, ref)

    def accepted(self, out, ref):
        self.outs[out.id] = out
        emit("sent", id=out.id.hex(), **({"ref": ref} if ref is not None else {}))
        if not out.copies:
            out.reported = True
            del self.outs[out.id]
            emit("undelivered", id=out.id.hex(), to=[])
            return
        self.pump_all()

    def find(self, to):
        """Members by shown nick, nick or fingerprint."""
        people = [m for m in self.members.values() if m.shown and not m.refused]
        return [m for m in people if to == h.fp_text(m.fp)] or \
            [m for m in people if to == self.shown(m)] or \
            [m for m in people if to.casefold() == m.nick.casefold()]

    def give_up(self, copy):
        copy.state = "given up"

    def settle(self):
        """delivered and undelivered, once the state of every copy is known."""
        for ident, out in list(self.outs.items()):
            given = []
            for c in out.copies:
                if c.state == "given up":
                    elsewhere = any(o is not c and o.fp == c.fp and o.state in ("waiting", "acked")
                                    for o in out.copies)
                    if not elsewhere:
                        given.append(c)
                    c.state = "void" if elsewhere else "told"
            if given:
                emit("undelivered", id=ident.hex(),
                     to=sorted({h.fp_text(c.fp) for c in given}))
            open_copies = [c for c in out.copies if c.state == "waiting" and not self.doubled(c)]
            if not open_copies:
                del self.outs[ident]
                acked = sorted({h.fp_text(c.fp) for c in out.copies if c.state == "acked"})
                if acked and not any(c.state == "told" for c in out.copies):
                    emit("delivered", id=ident.hex(), to=acked)

    def doubled(self, copy):
        """It waits for a gone instance while another instance of the FP got the same id."""
        if copy.instance is None or self.streams[copy.fp, copy.instance].channel is not None:
            return False
        return any(c is not copy and c.fp == copy.fp and c.instance is not None
                   and c.instance != copy.instance
                   and self.streams[c.fp, c.instance].channel is not None
                   for c in copy.out.copies)

    def set_own_nick(self, nick, ref):
        if not h.own_nick_ok(nick):
            self.error("nick", "no nickname: " + nick, ref)
            return
        self.nick = nick
        out = Out(nick=nick)
        for m in self.members.values():
            c = m.channel
            if m.refused or c is None or not c.hello_out:
                continue               # HELLO will tell
            self.queue_for(m, out)
        self.pump_all()

    def set_away(self, text):
        self.away = text[:60]
        for m in self.members.values():
            if m.channel is not None and not m.channel.dead and m.channel.hello_out:
                self.say(m.channel, h.build_away(self.away))

    # -- standard input

    def take_input(self):
        """Nothing before the first WELCOME; nothing while a live channel is full (§6)."""
        while self.input and self.welcomed.is_set() and not self.full():
            self.line(self.input.popleft())

    def full(self):
        return any(s.channel is not None and (
            len(s.unacked) > 1024 or sum(c.out.size for c in s.unacked) > GONE_BYTES)
            for s in self.streams.values())

    def line(self, line):
        try:
            o = json.loads(line)
            kind, ref = o["type"], o.get("ref")
            if kind == "chat":
                self.chat(o["text"], ref=ref)
            elif kind == "private":
                self.private(o["to"], o["text"], ref)
            elif kind == "command":
                self.command(o["text"], ref)
            elif kind in ("rehandshake", "endchannel", "raw", "replay"):
                for m in self.find(o["to"]):
                    self.fault(m, kind, o)
            else:
                self.error("input", "unknown type", ref)
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            self.error("input", "bad line: " + str(e), None)

    def fault(self, m, kind, o):
        if kind == "rehandshake":
            if not m.initiator:
                self.error("rehandshake", "the other side is the initiator", o.get("ref"))
            elif m.pending is None:
                self.start_handshake(m)
        elif m.channel is None:
            self.error(kind, "no channel", o.get("ref"))
        elif kind == "endchannel":
            self.end_channel(m.channel, o["reason"])
        elif kind == "raw":
            self.say(m.channel, bytes.fromhex(o["hex"]))
        elif kind == "replay":
            for copy in list(self.streams[m.fp, m.instance].acked_copies)[-o["n"]:]:
                self.say_copy(m.channel, copy)

    def command(self, text, ref):
        name, _, rest = text.partition(" ")
        if name == "/nick":
            self.set_own_nick(rest.strip(), ref)
        elif name == "/me":
            self.chat(rest, action=True, ref=ref)
        elif name == "/msg":
            to, _, rest = rest.partition(" ")
            self.private(to, rest, ref)
        elif name == "/away":
            self.set_away(rest)
        elif name in ("/cut", "/abandon"):
            if self.connection.out is not None:
                getattr(self.connection, name[1:])()
        elif name == "/quit":
            self.stop(0)
        else:
            self.error("command", "unknown command " + name, ref)

    def error(self, code, message, ref):
        emit("error", code=code, message=message, hint="",
             **({"ref": ref} if ref is not None else {}))

    def notice(self, text):
        emit("notice", text=text)

    def stop(self, code):
        self.exit = code
        self.finish.set()

    # -- clock

    def tick(self):
        t = now()
        if self.connection is not None:
            self.connection.tick()
        for m in list(self.members.values()):
            self.decide_views(m)
            if m.queued_m1:
                self.answer_m1(m)
            if m.pending and t - m.pending[2] > HANDSHAKE_TIMEOUT:
                m.pending = None
                self.try_again(m)
            if m.retry_at is not None and t >= m.retry_at:
                self.start_handshake(m)
            for c in (m.channel, m.old):
                if c is not None and c.ack_due is not None and t >= c.ack_due:
                    self.send_ack(c)
            c = m.channel
            if c is not None and not c.up and t - c.born > CHANNEL_TIMEOUT:
                self.end_channel(c, 4)
            elif c is not None and c.up and c.stream.channel is c:
                sent = [x.sent_at for x in itertools.islice(c.stream.unacked, 1) if x.sent_at]
                if sent and c.sent >= c.stream.unacked[0].seq and t - sent[0] > UNACKED_TIMEOUT:
                    self.end_channel(c, 4)
            if not m.shown and not m.warned and t - m.joined_at > 30:
                m.warned = True
                self.notice(f"cannot authenticate {h.fp_text(m.fp)}: another password, "
                            "or not a member")
        for m in list(self.departed):
            self.decide_views(m)
            if not m.view_queue:
                self.departed.remove(m)
        self.expire(t)
        self.take_input()

    def expire(self, t):
        """§6: while somebody is gone up to 1024 messages, 4 MiB, 10 minutes."""
        changed = False
        for s in self.streams.values():
            if s.channel is not None or s.gone_since is None:
                continue
            size = sum(c.out.size for c in s.unacked)
            while s.unacked and (len(s.unacked) > GONE_MESSAGES or size > GONE_BYTES
                                 or t - s.gone_since > GONE_SECONDS):
                copy = s.unacked.popleft()
                size -= copy.out.size
                self.give_up(copy)
                changed = True
        if self.connection is not None and self.connection.welcomed_at is not None:
            for g in [g for g in self.ghosts if t > g.until]:
                self.ghosts.remove(g)
                for copy in g.waiting:
                    self.give_up(copy)
                    changed = True
        if changed:
            self.settle()

    async def clock(self):
        while True:
            await asyncio.sleep(0.05)
            try:
                self.tick()
            except Exception:
                traceback.print_exc()

    def idle(self):
        """Nothing of one's own is on its way, nothing of others waits for its view."""
        return not self.input and not self.outs and not self.departed and \
            not any(m.view_queue for m in self.members.values()) and \
            not any(s.channel is not None and s.unacked for s in self.streams.values())

    async def run(self):
        loop = asyncio.get_running_loop()
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(s, self.stop, {signal.SIGINT: 130, signal.SIGTERM: 143,
                                                   signal.SIGHUP: 129}[s])

        def read():
            for line in sys.stdin.buffer:
                if line.strip():
                    loop.call_soon_threadsafe(self.input.append, line)
            loop.call_soon_threadsafe(setattr, self, "input_end", True)
        threading.Thread(target=read, daemon=True).start()
        ticking = asyncio.create_task(self.clock())
        connecting = asyncio.create_task(self.connect_loop())
        ended = None
        while not self.finish.is_set():
            await asyncio.sleep(0.05)
            if connecting.done():
                connecting.result()
                break
            if self.input_end:
                ended = ended or now()
                if self.idle() and self.welcomed.is_set() or now() - ended > 10:
                    break
        ticking.cancel()
        for m in self.members.values():
            c = m.channel
            if c is not None and c.ack_due is not None:
                self.send_ack(c)
            self.flush_views(m)
        self.finish.set()
        for out in self.outs.values():
            waiting = sorted({h.fp_text(c.fp) for c in out.copies
                              if c.state == "waiting" and not self.doubled(c)})
            emit("undelivered", id=out.id.hex(), to=waiting)
        c = self.connection
        if c is not None and c.out is not None and not c.over and not c.closing:
            c.close(0)
            c.wake.set()
            for _ in range(40):        # until it is on its way
                await asyncio.sleep(0.05)
                if not c.queue:
                    break
            await c.shut()
        connecting.cancel()
        emit("bye")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=40623)
    p.add_argument("--home", required=True)
    p.add_argument("--nick", required=True)
    p.add_argument("--room", default="lobby")
    p.add_argument("--password-file")
    p.add_argument("--strict-view", action="store_true")
    p.add_argument("--drop-after", type=int)
    p.add_argument("--max-wait", type=float)
    options = p.parse_args()
    if not h.own_nick_ok(options.nick):
        p.error("no nickname: " + options.nick)
    code = [0]

    async def run():
        client = Client(options)
        await client.run()
        code[0] = client.exit
    asyncio.run(run())
    sys.stdout.flush()
    os._exit(code[0])                  # the thread on standard input may still be waiting


if __name__ == "__main__":
    main()
