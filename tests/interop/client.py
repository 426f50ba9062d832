"""A HEARTH/2 client (§3 to §9), independent of the program it tests.

    python3 client.py --host 127.0.0.1 --port N --home DIR --nick NAME [--room R]
                      [--password-file F] [--renew S] [--drop-after N] [--max-wait S] [--no-cast]
                      [--download DIR] [--no-direct] [--json]

Key: DIR/identity.pem (made there, 2048 bits, when missing).  JSON lines on standard output:
connected, welcome, joined, left, chat, note, topic, server, result, sent, delivered, undelivered,
nick, lost, away, offered, offer, transfer, received, sentfile, transferfailed, disconnected,
reconnecting, notice, error, bye.  On standard input:
  {"type":"chat","text":T,"reply":ID?}  {"type":"private","to":NICK or SHA256:...,"text":T}
  {"type":"note","ref":ID,"of":SHA256:...?,"what":"reaction|unreaction|edit|retraction","text":T}
  {"type":"command","text":"/nick x" | "/me t" | "/away t" | "/away" | "/topic t" | "/quit"
                          | "/kick F" | "/ban F 30m" | "/unban F" | "/bans" | "/announce t" | "/motd t"}
  {"type":"send","to":WHO?,"path":P}  {"type":"accept|decline|cancel","id":ID}     (files.py)
and as faults
  {"type":"command","text":"/cut"}       the TCP connection is reset (and made again)
  {"type":"command","text":"/abandon"}   the TCP connection stays open, unread; a new one is made
  {"type":"rehandshake","to":WHO}        a new channel beside the old one (initiator only)
  {"type":"endchannel","to":WHO,"reason":N}
  {"type":"raw","to":WHO,"hex":H}        a record with this message in the channel
  {"type":"replay","to":WHO,"n":N}       the last N acknowledged messages go out again
  {"type":"filefault","what":"cut|record|bytes","hex":H,"after":N}   see files.py
--renew S: channels are renewed after S seconds instead of an hour.
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
import sys
import threading
import time
import traceback
import unicodedata
from collections import OrderedDict, deque

import files
import recap
import hearth as h
from transport import Connection, now

VIEW_SECONDS = 5.0
HANDSHAKE_TIMEOUT, M3_TIMEOUT = 15.0, 30.0
CHANNEL_TIMEOUT = UNACKED_TIMEOUT = 30.0
KEPT_SECONDS = 600.0
KEPT_MESSAGES, KEPT_BYTES, LOST_INSTANCES = 1024, 4 << 20, 4
SETTLE_SECONDS, SETTLE_MOST = 5.0, 15.0
RENEW_SECONDS = 3600.0
NEVER_AGAIN = {0, 2, 6, 9}
FOR_GOOD = {0, 2, 9}
BACKOFF = [1, 2, 4, 8, 16, 30]
GUESS_SECONDS, GUESSES_PER_FP, GUESSES_STRANGER = 600.0, 6, 3
GUESSES_OF_STRANGERS, GUESSES_IN_ALL, OPEN_GUESSES = 60, 120, 16
NOTES_KEPT, NOTE_SECONDS = 32, 60.0
IDS_REMEMBERED = 1024
WHY = {0: "left", 1: "lost", 2: "replaced", 3: "removed"}
WHAT = {h.REACTION: "reaction", h.UNREACTION: "unreaction", h.EDIT: "edit",
        h.RETRACTION: "retraction"}
VERBS = {"/kick": h.KICK, "/ban": h.BAN, "/unban": h.UNBAN, "/bans": h.BANS,
         "/announce": h.ANNOUNCE, "/motd": h.MOTD}
UNITS = {"m": 60, "h": 3600, "d": 86400}
HIGH_WATER = 256 * 1024
M1, M2, M3, PEER_RECORD = 1, 2, 3, 4

ordinals = itertools.count(1)


def emit(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(min(ms / 1000, 2e11))) + f".{ms % 1000:03d}Z"


def one_cluster(text):
    """Whether a reaction is one grapheme cluster: near enough for what people send."""
    count, joined, flags = 0, False, 0
    for c in text:
        code = ord(c)
        extends = unicodedata.category(c) in ("Mn", "Mc", "Me") or code == 0x200D \
            or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F
        regional = 0x1F1E6 <= code <= 0x1F1FF
        if not (count and (extends or joined or regional and flags % 2)):
            count += 1
        flags = flags + 1 if regional else 0
        joined = code == 0x200D
    return count == 1


class Out:
    """Something of one's own with a seq: a CHAT, NOTE or NICK, on its way to people."""

    def __init__(self, kind, text="", action=False, to=None, reply=h.NO_REF, ref=h.NO_REF, what=0):
        self.kind, self.text, self.action, self.to = kind, text, action, to
        self.reply, self.ref, self.what = reply, ref, what
        self.id = os.urandom(8)
        self.time = int(time.time() * 1000)
        self.written = now()
        self.ordinal = self.accepted_at = None
        self.private = to is not None
        self.people = set()            # FPs it is for
        self.acked, self.given_up, self.said_goodbye = set(), set(), set()
        self.told, self.said = set(), False        # undelivered of whom; delivered
        self.label = None              # the `ref` of the input

    @property
    def size(self):
        return len(self.text.encode()) + 100

    def waits_for(self, fp):
        return fp in self.people and fp not in self.acked and fp not in self.given_up


class Copy:
    """One Out in one stream.  seq: None until the stream has numbers."""

    def __init__(self, out, late):
        self.out, self.late, self.seq = out, late, None
        self.shown_at = None           # the stream's clock when it was first written


class Stream:
    """Both directions between the own instance and one (FP, instance) (§6)."""

    def __init__(self, fp, instance):
        self.fp, self.instance = fp, instance
        self.next_seq = None           # None: holds no numbers yet
        self.unacked = deque()         # Copies in order; holes are told with GAP
        self.recent = deque(maxlen=64)     # acknowledged Copies, for {"type":"replay"}
        self.outs = set()              # of all that was ever put in here
        self.taken = self.given = 0
        self.ever_taken = False
        self.pending = deque()         # taken, not given: CHATs whose view is open, what is behind
        self.channel = None            # the live one, from HELLO on
        self.lost_at = None            # on the clock of Client.online
        self.clock = 0.0               # time it was shown
        self.slow_until = None         # the seq that an ACK has to reach

    def append(self, copy):
        self.outs.add(copy.out)
        if self.next_seq is not None:
            copy.seq, self.next_seq = self.next_seq, self.next_seq + 1
        self.unacked.append(copy)

    def number(self, received):
        """The first ACK of a stream without numbers."""
        h._need(received < h.MAX_COUNTER, "no number is left")
        self.next_seq = received + 1
        for copy in self.unacked:
            copy.seq, self.next_seq = self.next_seq, self.next_seq + 1

    @property
    def lowest(self):
        return self.unacked[0].seq if self.unacked else self.next_seq


class Channel:
    """A peer channel, from M3 on."""

    def __init__(self, member, tag, send, receive, initiator, guess=None):
        self.member, self.tag = member, tag
        self.send_chain, self.receive_chain = send, receive
        self.initiator, self.guess = initiator, guess
        self.born = now()
        self.verified = self.weak = False
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
        self.joined_at = now()
        self.nick = self.stream = None
        self.away = ""
        self.away_until = None         # HELLO of a new channel: here, unless AWAY comes
        self.channel = None            # sends here
        self.new = None                # initiator: past M3, R's first record is still to come
        self.pending = None            # (tag, handshake or Channel, since, guess)
        self.queued_m1 = None
        self.answered = deque()        # times of M2s, for 6 a minute
        self.refused = self.final = self.files = self.recap = False
        self.tries = 0
        self.retry_at = self.renew_at = None
        self.shown = False

    def channels(self):
        pending = self.pending and self.pending[1]
        return [c for c in (self.channel, self.new, pending)
                if isinstance(c, Channel) and not c.dead]

    def tags(self):
        return {c.tag for c in self.channels()} | ({self.pending[0]} if self.pending else set())


class Guesses:
    """§7: what a handshake with a password may give away in 10 minutes."""

    def __init__(self):
        self.made = []                 # [time, fp, open: neither verified nor forgotten]
        self.shown = set()             # FPs ever shown in this process

    def begin(self, fp):
        """A new guess, or None where it has to wait."""
        t = now()
        self.made = [g for g in self.made if t - g[0] < GUESS_SECONDS]
        mine = sum(g[1] == fp for g in self.made)
        strangers = [g for g in self.made if g[1] not in self.shown]
        known = fp in self.shown
        first = {g[1] for g in self.made if g[1] in self.shown}
        if mine >= (GUESSES_PER_FP if known else GUESSES_STRANGER):
            return None
        if not known and (len(strangers) >= GUESSES_OF_STRANGERS
                          or sum(g[2] for g in strangers) >= OPEN_GUESSES):
            return None
        if len(self.made) - len(first) >= GUESSES_IN_ALL and not (known and not mine):
            return None
        guess = [t, fp, True]
        self.made.append(guess)
        return guess

    def allowed(self, fp):
        guess = self.begin(fp)
        self.right(guess)
        return guess is not None

    def right(self, guess):
        if guess in self.made:
            self.made.remove(guess)


class Client:
    """A client: its connection, the members of its room, and what waits to be sent or reported."""

    def __init__(self, options):
        self.options = options
        self.key = h.load_identity(os.path.join(options.home, "identity.pem"))
        self.fp = self.key.fp
        self.instance = os.urandom(16)
        self.nick, self.away, self.topic = options.nick, "", None
        self.room = h.room_tag(options.room)
        self.password = None
        if options.password_file:
            with open(options.password_file, encoding="utf-8") as f:
                self.password = f.readline().rstrip("\r\n") or None
        self.keys = {}                 # FP of a relay -> future of (Kjoin, Kroom)
        self.drop_after = options.drop_after
        self.reached = self.welcomed_once = False
        self.expected = None           # the key that a PROOF was sent to
        self.unanswered = 0            # connections that ended between PROOF and answer
        self.address = f"{options.host.lower().rstrip('.')}:{options.port}"
        self.pins = os.path.join(options.home, "interop_pins.json")
        try:
            with open(self.pins) as f:
                self.pinned = h.fp_from_text(json.load(f)[self.address])
        except (OSError, KeyError, ValueError):
            self.pinned = None
        self.connection = self.fp_s = self.session = self.kroom = None
        self.members = {}              # sid -> Member, of the present connection
        self.streams = {}              # (FP, instance) -> Stream
        self.outs = {}                 # id -> Out of CHATs and NOTEs not reported yet
        self.written = deque()         # what waits to be accepted ("Settling")
        self.settle_from = self.last_first_shown = None
        self.settled_first = False
        self.online, self.online_at = 0.0, now()       # time with a WELCOME
        self.views = []                # [view, from, to or None]: own room views of late
        self.trust = {}                # FP -> nick: seen in this run
        self.given_ids = {}            # FP -> OrderedDict of ids
        self.said = {}                 # reference -> (fp, id, private with or None)
        self.notes = {}                # FP -> deque of (until, fields, fp) with an unknown ref
        self.roster_time, self.warned = {}, set()
        self.guesses = Guesses()
        self.requests = {}             # request of an ADMIN -> (command, ref)
        self.input = deque()
        self.input_end = False
        self.files = files.Files(self, emit, options.download or options.home,
                                 not options.no_direct)
        self.recap = recap.Recap(self, emit, options.recap)
        self.abandoned = []            # writers that /abandon left open
        self.finish = asyncio.Event()
        self.exit, self.failed = 0, False

    # -- identity, password, view

    @property
    def features(self):
        return files.FEATURE | self.recap.feature

    @property
    def pin(self):
        return self.expected or self.pinned

    async def password_keys(self, fp):
        """§7: worked out once for an FP_S, to the end also when the connection ends."""
        if fp not in self.keys:
            self.keys[fp] = asyncio.get_running_loop().run_in_executor(
                None, h.password_keys, self.password, fp)
        return await asyncio.shield(self.keys[fp])

    def sid(self):
        return self.connection.roster.sid if self.connection and self.connection.roster else None

    def room_view(self):
        members = list(self.connection.roster.members.items())
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
        for s in self.streams.values():
            self.give(s)

    # -- the connection

    def connected(self, connection):
        """The relay's first record has verified."""
        self.fp_s = connection.fp
        emit("connected", address=self.address, fingerprint=h.fp_text(self.fp_s),
             server="known" if self.pinned is not None else "new")

    def write_pin(self):
        """§8: with the right answer or, where none is asked for, with the WELCOME."""
        if self.pinned is not None:
            return
        self.pinned = self.fp_s
        try:
            with open(self.pins) as f:
                pins = json.load(f)
        except (OSError, ValueError):
            pins = {}
        pins[self.address] = h.fp_text(self.pinned)
        with open(self.pins + ".new", "w") as f:
            json.dump(pins, f)
        os.replace(self.pins + ".new", self.pins)

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
            if c.proof_sent and not c.answered and reason != 1:
                self.unanswered += 1
            elif c.answered:
                self.unanswered = 0
            final = reason in h.FINAL_REASONS if isinstance(reason, int) else (
                reason in ("relay key too weak", "relay does not know the password")
                or reason == "changed key" and not self.welcomed_once
                or reason == "version" and self.pin is None
                or self.unanswered >= 5)
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
        if self.connection.welcomed_at is None:
            return
        self.count_online()
        self.settle_from = None
        if self.views and self.views[-1][2] is None:
            self.views[-1][2] = now()
        last, self.members = self.members, {}
        for m in last.values():
            self.drop_channels(m)

    def count_online(self):
        t = now()
        if self.settle_from is not None:
            self.online += t - self.online_at
        self.online_at = t

    def frame(self, connection, f):
        """What the roster has checked."""
        v = f.fields
        if f.kind == h.WELCOME:
            self.welcome(connection, v)
        elif f.kind == h.JOINED:
            self.roster_changed()
            self.add_member(v["sid"], v["fp"])
        elif f.kind == h.LEFT:
            self.roster_changed()
            self.member_left(self.members.pop(v["sid"]), v["why"])
        elif f.kind == h.RECV:
            self.payload(self.members[v["sid"]], v["kind"], v["tag"], v["payload"])
        elif f.kind == h.PART:
            self.payload(self.members[v["sid"]], PEER_RECORD, v["tag"], v["box"], v["common"])
        elif f.kind == h.NOTICE:
            emit("server", what="motd" if v["what"] == 0 else "announcement", text=v["text"])
        elif f.kind == h.RESULT and v["request"] in self.requests:
            command, ref = self.requests.pop(v["request"])
            more = {"ref": ref} if ref is not None else {}
            if command == "bans":
                more["bans"] = [{"fingerprint": h.fp_text(v["data"][i:i + 32]),
                                 "seconds": int.from_bytes(v["data"][i + 32:i + 36], "big")}
                                for i in range(0, len(v["data"]), 36)]
            emit("result", command=command, ok=v["status"] == 0, status=v["status"], **more)

    def welcome(self, connection, v):
        connection.welcomed_at = now()
        self.count_online()
        self.settle_from, self.last_first_shown = now(), None
        how = "password" if connection.answered else "none" if self.pinned is None else "key"
        self.write_pin()
        self.welcomed_once = True
        if self.password:
            self.kroom = self.keys[self.fp_s].result()[1]
            if not connection.answered:
                self.notice("the relay did not show that it knows the password")
        self.session = h.SessionKey.of_member(self.key, self.fp_s, self.room, v["sid"])
        emit("welcome", room=self.options.room, members=len(v["members"]), authenticated=how)
        self.recap.welcome()
        self.roster_changed()
        for sid, fp in v["members"]:
            self.add_member(sid, fp)

    # -- roster

    def add_member(self, sid, fp):
        initiator = (self.fp, self.sid()) < (fp, sid)      # §6: the smaller FP, then sid
        m = self.members[sid] = Member(sid, fp, initiator)
        if initiator:
            self.start_handshake(m)

    def member_left(self, m, why):
        self.drop_channels(m, gone=why in (0, 3))
        s = m.stream
        if s is not None and why in (0, 3) and s.channel is None:
            s.lost_at = None
            for copy in list(s.unacked):
                copy.out.said_goodbye.add(m.fp)
                self.give_up(s, copy)
        if m.shown:
            emit("left", nick=self.shown(m), fingerprint=h.fp_text(m.fp),
                 why=WHY.get(why, "lost"))
        self.settle()

    def drop_channels(self, m, gone=False):
        """Forgets everything of a sid, without a word."""
        for c in m.channels():
            self.detach(c, gone)
        self.forget_pending(m)
        m.channel = m.new = m.retry_at = m.queued_m1 = None

    def forget_pending(self, m):
        if m.pending and m.pending[3]:
            m.pending[3][2] = False    # its guess is not open any more, but made
        m.pending = None

    def detach(self, channel, gone=False):
        """`gone`: it ended for good, so its instance is not lost."""
        channel.dead = True
        s = channel.stream
        if s is not None and s.channel is channel:
            s.channel = None
            self.count_online()
            s.lost_at = None if gone else self.online

    def shown(self, m):
        """§9: how the nick is shown among those present."""
        people = [x for x in self.members.values() if x.nick is not None and x is not m] + [m]
        me = (self.nick, self.fp, self.sid() or h.NO_SID)
        return h.shown_nicks([me] + [(x.nick or "", x.fp, x.sid) for x in people])[-1]

    # -- people (§6)

    def streams_of(self, fp):
        return [s for s in self.streams.values() if s.fp == fp]

    def is_shown(self, fp):
        return any(s.channel is not None for s in self.streams_of(fp))

    def lost_streams(self, fp):
        """Of an FP's instances those lost of late, the last ones first."""
        lost = [s for s in self.streams_of(fp) if s.channel is None and s.lost_at is not None
                and self.online - s.lost_at < KEPT_SECONDS]
        return sorted(lost, key=lambda s: -s.lost_at)[:LOST_INSTANCES]

    def people(self):
        """FPs that are shown or lost."""
        fps = {s.fp for s in self.streams.values()}
        return {fp for fp in fps if self.is_shown(fp) or self.lost_streams(fp)}

    def refused_for_good(self, m):
        """What waits for a person goes when the last of its shown instances refuses."""
        if not self.is_shown(m.fp):
            for s in self.streams_of(m.fp):
                for copy in list(s.unacked):
                    self.give_up(s, copy)
            for out in self.outs.values():
                if out.waits_for(m.fp):
                    out.given_up.add(m.fp)
        self.settle()

    # -- pairing (§6)

    def send_payload(self, m, kind, tag, payload):
        self.connection.put(h.SEND, m.sid + bytes([kind]) + tag + payload)

    def new_handshake(self, role, m):
        me, other = (self.fp, self.sid()), (m.fp, m.sid)
        (fp_i, sid_i), (fp_r, sid_r) = (me, other) if role.initiator else (other, me)
        prologue = h.peer_prologue(self.fp_s, self.room, fp_i, fp_r, sid_i, sid_r)
        return role("peer", self.key, prologue, self.kroom, self.session)

    def start_handshake(self, m):
        m.retry_at = None
        if self.kroom is not None and not self.guesses.allowed(m.fp):
            m.retry_at = now() + 1
            return
        tag = os.urandom(4)
        while tag in m.tags():
            tag = os.urandom(4)
        hs = self.new_handshake(h.Initiator, m)
        m.pending = (tag, hs, now(), None)
        self.send_payload(m, M1, tag, hs.m1())

    def try_again(self, m):
        """The initiator tries again after 1, 2, 4 ... 30 s."""
        if m.initiator and not m.refused and self.members.get(m.sid) is m and not m.retry_at:
            m.retry_at = now() + BACKOFF[min(m.tries, 5)]
            m.tries += 1

    def payload(self, m, kind, tag, data, common=None):
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
            for c in m.channels():
                if c.tag == tag:
                    self.record(m, c, data, common)
                    return

    def answer_m1(self, m):
        """At most 6 a minute for a sid; the newest M1 waits."""
        t = now()
        while m.answered and t - m.answered[0] > 60:
            m.answered.popleft()
        if m.queued_m1 is None or len(m.answered) >= 6:
            return
        tag, data = m.queued_m1
        hs = self.new_handshake(h.Responder, m)
        guess = None
        try:
            hs.read_m1(data)
        except h.HandshakeError:
            m.queued_m1 = None
            return
        if self.kroom is not None:
            guess = self.guesses.begin(m.fp)
            if guess is None:
                return                 # waits in line
        m.queued_m1 = None
        m.answered.append(t)
        self.forget_pending(m)
        m.pending = (tag, hs, t, guess)
        self.send_payload(m, M2, tag, hs.m2())

    def take_m2(self, m, data):
        tag, hs, _, _ = m.pending
        guess = None
        if self.kroom is not None:
            guess = self.guesses.begin(m.fp)
            if guess is None:
                return                 # dropped unread
        m.pending = None
        try:
            other = hs.read_m2(data, m.fp)
        except h.HandshakeError as e:
            self.notice("M2 refused: " + str(e))
            if guess:
                guess[2] = False
            self.try_again(m)
            return
        self.guesses.right(guess)
        self.send_payload(m, M3, tag, hs.m3())
        new = Channel(m, tag, h.Chain(hs.ckI), h.Chain(hs.ckR), True)
        if other.bits < 2048:
            self.say(new, h.build_close(9))
            new.dead = True
            self.refuse(m)
            return
        if m.new is not None:
            self.detach(m.new)
        m.new = new                    # §6: all but HELLO still goes on the old one
        m.renew_at = now() + self.options.renew * random.uniform(0.9, 1.1)
        new.hello_out = True
        self.say(new, h.build_hello(self.instance, self.nick, self.features))

    def take_m3(self, m, data):
        tag, hs, since, guess = m.pending
        m.pending = None
        try:
            other = hs.read_m3(data, m.fp)
        except h.HandshakeError as e:
            self.notice("M3 refused: " + str(e))
            if guess:
                guess[2] = False
            return
        new = Channel(m, tag, h.Chain(hs.ckR), h.Chain(hs.ckI), False, guess)
        new.weak = other.bits < 2048
        m.pending = (tag, new, since, guess)   # until I's first record has verified

    # -- records of a channel

    def say(self, channel, message):
        self.send_payload(channel.member, PEER_RECORD, channel.tag,
                          channel.send_chain.seal(h.pad(message)))

    def record(self, m, channel, data, common):
        """`common`: of a PART, whose box is `data`."""
        try:
            if common is None:
                plaintext = channel.receive_chain.open(data)
                message = None
            else:
                message = h.open_part(channel.receive_chain, data, common)
            first, channel.verified = not channel.verified, True
            if first and not self.first_record(m, channel):
                return
            self.message(m, channel, message or h.parse_message(h.unpad(plaintext)))
        except h.ProtocolError as e:
            self.notice("channel failed: " + str(e))
            self.end_channel(channel, 3 if channel.verified else None)

    def first_record(self, m, channel):
        """The other side's first record has verified: the old channel, if any, is done."""
        self.guesses.right(channel.guess)
        if channel.initiator:
            m.new = None
        else:
            m.pending = None
            if channel.weak:
                self.say(channel, h.build_close(9))
                channel.dead = True
                return False
        old, m.channel = m.channel, channel
        if old is not None:
            self.detach(old)
        if not channel.hello_out:
            channel.hello_out = True
            self.say(channel, h.build_hello(self.instance, self.nick, self.features))
        if self.away:
            self.say(channel, h.build_away(self.away))
        if self.topic:
            self.say(channel, h.build_topic(*self.topic))
        return True

    def end_channel(self, channel, reason, received=False):
        """Ends one channel; CLOSE(reason) goes out unless the other side sent it."""
        m = channel.member
        if channel.dead:
            return
        if reason is not None and not received and self.members.get(m.sid) is m:
            self.say(channel, h.build_close(reason))
        self.detach(channel, gone=reason in FOR_GOOD)
        if m.pending and m.pending[1] is channel:
            m.pending = None
        if m.new is channel:
            m.new = None               # the old one, if any, goes on
        if m.channel is channel:
            m.channel = None
        if now() - channel.born >= 30:
            m.tries = 0
        if reason in NEVER_AGAIN:
            self.refuse(m, reason)
        else:
            self.try_again(m)

    def refuse(self, m, reason=9):
        """§6: the initiator tries nothing again until the sid changes."""
        m.refused = True
        m.final = m.final or reason in FOR_GOOD
        m.retry_at = m.renew_at = None
        if reason in FOR_GOOD:
            self.refused_for_good(m)

    def message(self, m, channel, message):
        v, s, kind = message.fields, channel.stream, message.kind
        fresh = s is None or s.next_seq is None
        h.check_state(message, channel.hello_in, h.MAX_COUNTER if fresh else s.next_seq - 1)
        if kind == h.CLOSE:
            self.end_channel(channel, v["reason"], received=True)
        elif kind == h.HELLO:
            self.take_hello(m, channel, v)
        elif kind == h.ACK:
            self.take_ack(m, channel, v["n"])
        elif kind == h.GAP:
            if v["n"] - 1 > s.taken:
                count, s.taken = v["n"] - 1 - s.taken, v["n"] - 1
                if s.ever_taken:
                    self.queue(s, s.taken, lambda: emit(
                        "lost", nick=self.shown(m), fingerprint=h.fp_text(m.fp), count=count))
                else:
                    self.queue(s, s.taken, lambda: None)
        elif kind in (h.CHAT, h.NICK, h.NOTE):
            if v["seq"] <= s.taken:
                self.ack_soon(s)
                return                 # taken already
            h._need(v["seq"] == s.taken + 1, "seq above the next")
            s.taken, s.ever_taken = v["seq"], True
            if kind == h.CHAT:
                private = bool(v["flags"] & h.FLAG_PRIVATE)
                self.queue(s, v["seq"], {
                    "open": m.recap, "v": v, "at": now(), "m": m, "private": private,
                    "same": v["view"] == self.private_view(m) if private else None})
            elif kind == h.NICK:
                self.queue(s, v["seq"], lambda: self.set_nick(m, v["nick"]))
            else:
                allowed = m.recap
                self.queue(s, v["seq"], lambda: (
                    self.take_note(m.fp, v),
                    self.recap.note(m.fp, v["ref"], v["what"], v.get("text", ""), allowed)))
        elif kind == h.AWAY and "away" in v:
            m.away_until = None
            if v["away"] != m.away:
                m.away = v["away"]
                emit("away", nick=self.shown(m), fingerprint=h.fp_text(m.fp), text=m.away)
        elif kind == h.TOPIC and "text" in v:
            self.take_topic(v["time"], v["text"])
        elif files.OFFER <= kind <= files.PIECE:
            self.files.take(m, kind, message.body)
        elif recap.WANT <= kind <= recap.RECAP:
            self.recap.take(m, kind, message.body)

    def take_hello(self, m, channel, v):
        channel.hello_in = True
        key = (m.fp, v["instance"])
        s = self.streams.get(key)
        if s is None:
            s = self.streams[key] = Stream(*key)
        rival = s.channel
        channel.stream, m.stream = s, s
        s.channel, s.lost_at = channel, None
        if rival is not None and rival is not channel and rival.member is not m:
            self.end_channel(rival, 6)     # the newer one takes the stream
        self.guesses.shown.add(m.fp)
        if not any(x.shown for x in self.members.values() if x.fp == m.fp):
            self.last_first_shown = now()
        self.warned.discard(m.fp)
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
            if m.away:
                m.away_until = now() + 5
            if s.pending:
                s.pending.append((None, lambda: self.set_nick(m, v["nick"])))
            else:
                self.set_nick(m, v["nick"])
        # what no instance of the person has acknowledged and is not in this stream
        for out in sorted(self.outs.values(), key=lambda o: o.ordinal):
            if out.waits_for(m.fp) and out not in s.outs:
                s.append(Copy(out, True))
        channel.last_ack = -1
        self.send_ack(channel)
        m.files = bool(v["features"] & files.FEATURE)
        m.recap = bool(v["features"] & recap.FEATURE)
        if m.files:
            self.files.ready(m)

    # -- ACK and sending

    def ack_soon(self, stream):
        c = stream.channel
        if c is not None and c.ack_due is None:
            c.ack_due = now() + 0.1

    def send_ack(self, c):
        c.ack_due = None
        if not c.dead and c.hello_in and c.last_ack != c.stream.given:
            c.last_ack = c.stream.given
            self.say(c, h.build_ack(c.last_ack))

    def take_ack(self, m, channel, n):
        s = channel.stream
        if s.next_seq is None:
            s.number(n)
        while s.unacked and s.unacked[0].seq <= n:
            copy = s.unacked.popleft()
            s.recent.append(copy)
            copy.out.acked.add(m.fp)
        if not channel.ack_in:
            channel.ack_in = True
            self.recap.ready(m)
            channel.sent = n
            self.notice(f"channel up: {channel.tag.hex()} {self.shown(m)}")
        if s.slow_until is not None and n >= s.slow_until:
            s.slow_until = None
        self.pump(s)
        self.settle()

    def pump_all(self):
        for s in self.streams.values():
            self.pump(s)

    def pump(self, s):
        """Everything unacknowledged in order, then new messages; GAP over what is missing."""
        c = s.channel
        if c is None or not c.up:
            return
        if s.lowest > c.sent + 1:
            self.gap(c, s.lowest)
        for copy in list(s.unacked):
            if copy.seq <= c.sent:
                continue
            if self.connection.bytes > HIGH_WATER:
                return
            if copy.seq > c.sent + 1:
                self.gap(c, copy.seq)
            self.say(c, self.written_out(c, copy))
            self.went_out(c, copy)

    def went_out(self, c, copy):
        c.sent = copy.seq
        if copy.shown_at is None:
            copy.shown_at = c.stream.clock

    def written_out(self, channel, copy):
        out, m = copy.out, channel.member
        if out.kind == h.NICK:
            return h.build_nick(copy.seq, out.text)
        if out.kind == h.NOTE:
            return h.build_note(copy.seq, out.ref, out.what, out.text)
        view = self.private_view(m) if out.private else self.room_view()
        return h.build_chat(copy.seq, out.id, out.time, self.flags(m, copy), view, out.text,
                            out.reply)

    def flags(self, m, copy):
        out = copy.out
        late = copy.late or out.written < m.joined_at - 5
        return (h.FLAG_ACTION * out.action | h.FLAG_PRIVATE * out.private | h.FLAG_LATE * late)

    def cast(self, out):
        """§6: one envelope for the channels where it is the next to go and would be the same."""
        ready = []
        for s in self.streams.values():
            c = s.channel
            if c is None or not c.up or not s.unacked or s.unacked[-1].out is not out \
                    or s.unacked[-1].seq != c.sent + 1 or c.dead:
                continue
            if out.kind == h.CHAT and self.flags(c.member, s.unacked[-1]) & ~h.FLAG_ACTION:
                continue
            ready.append((c, s.unacked[-1]))
        if len(ready) < 2 or self.options.no_cast or self.connection.bytes > HIGH_WATER:
            return
        k = os.urandom(32)
        common = h.seal_common(k, h.content_of(self.written_out(*ready[0])))
        most = h.cast_room(common)
        for at in range(0, len(ready), most):
            entries = []
            for c, copy in ready[at:at + most]:
                entries.append((c.member.sid, c.tag,
                                h.seal_box(c.send_chain, common, copy.seq, k)))
                self.went_out(c, copy)
            self.connection.put(h.CAST, h.build_cast(entries, common))

    def gap(self, channel, following):
        self.say(channel, h.build_gap(following))
        channel.sent = following - 1

    # -- what comes in

    def queue(self, s, seq, entry):
        """Behind the CHATs of this instance whose view is not decided yet."""
        s.pending.append((seq, entry))
        self.give(s)

    def give(self, s, final=False):
        """Gives what is decided: a view that fits at once, another one after 5 s.  What is given
        may be acknowledged."""
        while s.pending:
            seq, entry = s.pending[0]
            if callable(entry):
                s.pending.popleft()
                entry()
            else:
                same = self.view_matches(entry)
                if not same and not final and not entry["private"] \
                        and now() < entry["at"] + VIEW_SECONDS and len(s.pending) <= KEPT_MESSAGES:
                    return
                s.pending.popleft()
                self.give_chat(s.fp, entry, same)
            if seq is not None:
                s.given = seq
                self.ack_soon(s)

    def view_matches(self, entry):
        if entry["private"]:
            return entry["same"]
        low, high = entry["at"] - VIEW_SECONDS, entry["at"] + VIEW_SECONDS
        return any(view == entry["v"]["view"] and start <= high and (end is None or end >= low)
                   for view, start, end in self.views)

    def give_chat(self, fp, entry, same):
        v, m = entry["v"], entry["m"]
        ids = self.given_ids.setdefault(fp, OrderedDict())
        if v["id"] in ids:
            return                     # taken and acknowledged, but not shown again
        ids[v["id"]] = True
        while len(ids) > IDS_REMEMBERED:
            ids.popitem(last=False)
        more = {}
        if v["reply"] in self.said:
            more["reply"] = self.said[v["reply"]][1].hex()
        emit("chat", id=v["id"].hex(), nick=self.shown(m), fingerprint=h.fp_text(fp),
             sent=iso(v["time"]), private=entry["private"],
             action=bool(v["flags"] & h.FLAG_ACTION), late=bool(v["flags"] & h.FLAG_LATE),
             view="same" if same else "differs", text=v["text"], **more)
        self.remember(fp, v["id"], fp if entry["private"] else None)
        if entry["open"] and not entry["private"]:
            self.recap.hear(fp, v["id"], v["flags"] & h.FLAG_ACTION, m.nick, v["text"])

    def remember(self, fp, ident, private):
        """A message that may be referred to; NOTEs that waited for it have their effect."""
        ref = h.reference(fp, ident)
        self.said[ref] = (fp, ident, private)
        for waiting in self.notes.values():
            for item in [i for i in waiting if i[1]["ref"] == ref]:
                waiting.remove(item)
                self.take_note(item[2], item[1])

    def take_note(self, fp, v):
        if v["what"] not in WHAT:
            return
        if v["ref"] not in self.said:
            waiting = self.notes.setdefault(fp, deque(maxlen=NOTES_KEPT))
            waiting.append((now() + NOTE_SECONDS, v, fp))
            return
        sender, ident, private = self.said[v["ref"]]
        if v["what"] in (h.EDIT, h.RETRACTION) and sender != fp:
            return
        if private is not None and fp not in (private, self.fp):
            return
        if v["what"] == h.REACTION and not one_cluster(v["text"]):
            return
        m = next((x for x in self.members.values() if x.fp == fp and x.nick), None)
        emit("note", ref=ident.hex(), of=h.fp_text(sender), what=WHAT[v["what"]],
             nick=self.shown(m) if m else "", fingerprint=h.fp_text(fp), text=v["text"])

    def take_topic(self, at, text):
        if at > time.time() * 1000 + h.DAY_MS:
            return
        if self.topic is None or (at, text.encode()) > (self.topic[0], self.topic[1].encode()):
            changed = self.topic is None or text != self.topic[1]
            self.topic = (at, text)
            if changed:
                emit("topic", text=text)

    def set_nick(self, m, nick):
        if nick == m.nick:
            return
        before = self.shown(m)
        m.nick = self.trust[m.fp] = nick
        emit("nick", **{"from": before, "nick": self.shown(m), "fingerprint": h.fp_text(m.fp)})

    # -- what goes out

    def write(self, out):
        """§6, Settling: accepted at once, or behind what waits."""
        if not out.text and out.kind == h.CHAT or len(out.text.encode()) > h.MAX_TEXT_BYTES:
            self.error("text", "1 to 8192 bytes", out.label)
            return
        self.written.append(out)
        self.accept_written()

    def settled(self):
        if self.settle_from is None:
            return False
        t, start = now(), self.settle_from
        if t - start >= SETTLE_MOST:
            return True
        if not self.settled_first and self.members and all(
                self.is_shown(fp) or all(m.final for m in self.members.values() if m.fp == fp)
                for fp in {m.fp for m in self.members.values()}):
            return True
        since = max(start, self.last_first_shown or start)
        return t - since >= SETTLE_SECONDS

    def accept_written(self):
        if not self.settled_first:
            if not self.settled():
                return
            self.settled_first = True
        elif not self.written or self.settle_from is None:
            return
        # a later connection: what was written without one waits, and all behind it
        elif self.written[0].written < self.settle_from and not self.settled():
            return
        while self.written:
            self.accept(self.written.popleft())

    def accept(self, out):
        out.accepted_at, out.ordinal = self.online, next(ordinals)
        people = self.people()
        if out.to is not None:
            people &= {out.to}
        elif out.kind == h.NOTE and out.what:
            private = self.said.get(out.ref, (None, None, None))[2]
            if private is not None:
                people &= {private}
                out.private = True
        out.people = set(people)
        self.outs[out.id] = out
        for fp in people:
            for s in self.streams_of(fp):
                if s.channel is not None or s in self.lost_streams(fp):
                    s.append(Copy(out, False))
        others = sorted(h.fp_text(fp) for fp in people if fp != self.fp)
        more = {"ref": out.label} if out.label is not None else {}
        if out.kind == h.CHAT:
            emit("sent", id=out.id.hex(), text=out.text, private=out.private, action=out.action,
                 to=others, **more)
            self.remember(self.fp, out.id, out.to)
            if not out.private:
                self.recap.hear(self.fp, out.id, int(out.action), self.nick, out.text)
        elif out.kind == h.NOTE:
            self.recap.note(self.fp, out.ref, out.what, out.text, True)
        if out.kind == h.CHAT:
            if not others:
                self.failed = True
                emit("undelivered", id=out.id.hex(), to=[])
        if not out.private and self.connection.out is not None:
            self.cast(out)
        self.pump_all()
        self.settle()

    def find(self, to):
        """Members by shown nick, nick or fingerprint."""
        people = [m for m in self.members.values() if m.shown]
        return [m for m in people if to == h.fp_text(m.fp)] or \
            [m for m in people if to == self.shown(m)] or \
            [m for m in people if to.casefold() == m.nick.casefold()]

    def give_up(self, s, copy):
        """One stream gives it up; the person is told of when all that held it have."""
        s.unacked.remove(copy)
        out = copy.out
        if out.waits_for(s.fp) and not any(
                c.out is out for other in self.streams_of(s.fp) for c in other.unacked):
            out.given_up.add(s.fp)

    def settle(self):
        """delivered and undelivered, for each as soon as it is known."""
        for ident, out in list(self.outs.items()):
            others = out.people - {self.fp}
            given = (out.given_up & others) - out.told
            out.told |= given
            if given and out.kind == h.CHAT:
                self.failed = self.failed or bool(given - out.said_goodbye)
                emit("undelivered", id=ident.hex(), to=sorted(map(h.fp_text, given)))
            if not any(out.waits_for(fp) for fp in out.people):
                del self.outs[ident]
            if others and others <= out.acked and not out.said:
                out.said = True
                if out.kind == h.CHAT:
                    emit("delivered", id=ident.hex(), to=sorted(map(h.fp_text, others)))

    def set_own_nick(self, nick, ref):
        if not h.own_nick_ok(nick):
            self.error("nick", "no nickname: " + nick, ref)
            return
        self.nick = nick
        out = Out(h.NICK, nick)
        for s in self.streams.values():
            if s.channel is not None or s in self.lost_streams(s.fp):
                s.append(Copy(out, False))
        self.pump_all()

    def to_all(self, message):
        for m in self.members.values():
            if m.channel is not None and not m.channel.dead and m.channel.hello_out:
                self.say(m.channel, message)

    # -- standard input

    def take_input(self):
        """Nothing before the first WELCOME; nothing while a stream that is shown is full (§6)."""
        while self.input and self.welcomed_once and not self.full():
            self.line(self.input.popleft())

    def full(self):
        return len(self.written) >= KEPT_MESSAGES or any(
            s.channel is not None and s.slow_until is None and (
                len(s.unacked) > KEPT_MESSAGES or sum(c.out.size for c in s.unacked) > KEPT_BYTES)
            for s in self.streams.values())

    def line(self, line):
        try:
            o = json.loads(line)
            kind, ref = o["type"], o.get("ref")
            if kind in ("chat", "private"):
                to = None
                if kind == "private":
                    people = self.find(o["to"])
                    if not people:
                        self.error("nobody", "nobody of that name: " + o["to"], ref)
                        return
                    to = people[0].fp
                reply = self.of_id(o["reply"], None)[0] if "reply" in o else h.NO_REF
                out = Out(h.CHAT, o["text"], to=to, reply=reply)
                out.label = ref
                self.write(out)
            elif kind == "note":
                what = next(n for n, name in WHAT.items() if name == o["what"])
                found, _ = self.of_id(o["ref"], o.get("of"))
                self.write(Out(h.NOTE, o.get("text", ""), ref=found, what=what))
            elif kind == "command":
                self.command(o["text"], ref)
            elif kind in ("send", "accept", "decline", "cancel", "filefault"):
                self.files.line(kind, o)
            elif kind in ("rehandshake", "endchannel", "raw", "replay"):
                for m in self.find(o["to"]):
                    self.fault(m, kind, o)
            else:
                self.error("input", "unknown type", ref)
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as e:
            self.error("input", "bad line: " + repr(e), None)

    def of_id(self, ident, of):
        """(reference, FP) of a shown message; KeyError where there is none."""
        for ref, (fp, known, _) in self.said.items():
            if known.hex() == ident and of in (None, h.fp_text(fp)):
                return ref, fp
        raise KeyError("no such message: " + ident)

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
            for copy in list(m.channel.stream.recent)[-o["n"]:]:
                self.say(m.channel, self.written_out(m.channel, copy))

    def command(self, text, ref):
        name, _, rest = text.partition(" ")
        if name == "/nick":
            self.set_own_nick(rest.strip(), ref)
        elif name == "/me":
            self.write(Out(h.CHAT, rest, action=True))
        elif name == "/away":
            self.away = rest[:60]
            self.to_all(h.build_away(self.away))
        elif name == "/topic":
            at = max(int(time.time() * 1000), self.topic[0] + 1 if self.topic else 0)
            self.take_topic(at, rest)
            self.to_all(h.build_topic(at, rest))
        elif name == "/recap":
            self.recap.turn(rest == "on")
        elif name in VERBS:
            argument = rest.encode()
            if name in ("/kick", "/ban", "/unban"):
                who, _, span = rest.partition(" ")
                argument = h.fp_from_text(who)
                if name == "/ban":
                    span = span or "365d"
                    seconds = int(span.rstrip("smhd")) * UNITS.get(span[-1], 1)
                    argument += seconds.to_bytes(4, "big")
            request = os.urandom(4)
            self.requests[request] = name[1:], ref
            self.connection.put(h.ADMIN, request + bytes([VERBS[name]]) + argument)
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

    def tick(self, seconds):
        t = now()
        self.count_online()
        if self.connection is not None:
            self.connection.tick()
        for m in list(self.members.values()):
            self.tick_member(m, t)
        for fp in {m.fp for m in self.members.values()}:
            self.roster_time[fp] = self.roster_time.get(fp, 0) + seconds
            if self.is_shown(fp):
                self.roster_time[fp] = 0
            elif self.roster_time[fp] > 30 and fp not in self.warned:
                self.warned.add(fp)
                self.notice(f"cannot authenticate {h.fp_text(fp)}: another password, "
                            "or not a member")
        for s in self.streams.values():
            self.give(s)
            if s.channel is not None:
                s.clock += seconds
                self.check_slow(s)
        for waiting in self.notes.values():
            while waiting and waiting[0][0] < t:
                waiting.popleft()
        self.accept_written()
        self.expire()
        self.recap.tick()
        self.take_input()

    def tick_member(self, m, t):
        if m.queued_m1:
            self.answer_m1(m)
        if m.pending and t - m.pending[2] > HANDSHAKE_TIMEOUT:
            self.forget_pending(m)
            self.try_again(m)
        if m.new is not None and t - m.new.born > M3_TIMEOUT:
            if m.channel is not None:
                self.detach(m.new)
                m.new = None
                self.try_again(m)
            else:
                self.end_channel(m.new, 4)
        if m.retry_at is not None and t >= m.retry_at and m.pending is None:
            self.start_handshake(m)
        if m.renew_at is not None and t >= m.renew_at and m.pending is None and m.new is None:
            m.renew_at = None
            self.start_handshake(m)
        if m.away_until is not None and t > m.away_until:
            m.away_until, m.away = None, ""
            emit("away", nick=self.shown(m), fingerprint=h.fp_text(m.fp), text="")
        c = m.channel
        if c is not None and c.ack_due is not None and t >= c.ack_due:
            self.send_ack(c)
        if c is not None and c.up and t - c.born >= 30:
            m.tries = 0
        elif c is not None and not c.up and t - c.born > CHANNEL_TIMEOUT:
            if c.stream is not None:
                c.stream.slow_until = (c.stream.next_seq or 1) - 1
            self.end_channel(c, 4)

    def check_slow(self, s):
        """§6: unacknowledged for 30 s of the time that it was shown."""
        first = s.unacked[0] if s.unacked else None
        if first is not None and first.shown_at is not None \
                and s.clock - first.shown_at > UNACKED_TIMEOUT:
            s.slow_until = s.next_seq - 1
            for copy in s.unacked:
                copy.shown_at = None
            self.end_channel(s.channel, 4)

    def expire(self):
        """§6, What a sender keeps; and of each person the instances lost last."""
        for s in list(self.streams.values()):
            bounded = s.channel is None or s.slow_until is not None
            size = sum(c.out.size for c in s.unacked) if bounded else 0
            forgotten = s.channel is None and s not in self.lost_streams(s.fp)
            for copy in list(s.unacked):
                old = copy.out.accepted_at is not None and \
                    self.online - copy.out.accepted_at > KEPT_SECONDS
                if old or forgotten or bounded and (
                        len(s.unacked) > KEPT_MESSAGES or size > KEPT_BYTES):
                    size -= copy.out.size
                    self.give_up(s, copy)
                else:
                    break
        self.settle()

    async def clock(self):
        last = now()
        while True:
            await asyncio.sleep(0.05)
            t = now()
            try:
                self.tick(t - last)
            except Exception:
                traceback.print_exc()
            last = t

    def idle(self):
        """Nothing of one's own is on its way, nothing of others waits for its view."""
        return not self.input and not self.written and not self.outs and \
            not any(s.pending for s in self.streams.values())

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
                if self.idle() and self.welcomed_once or now() - ended > 10:
                    break
        ticking.cancel()
        for s in self.streams.values():
            self.give(s, final=True)
            if s.channel is not None:
                self.send_ack(s.channel)
        self.finish.set()
        for out in self.outs.values():
            waiting = sorted(h.fp_text(fp) for fp in out.people
                             if out.waits_for(fp) and fp != self.fp)
            if waiting and out.kind == h.CHAT:
                self.failed = True
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
        if self.input_end and self.exit == 0 and self.failed:
            self.exit = 1
        emit("bye")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=40623)
    p.add_argument("--home", required=True)
    p.add_argument("--nick", required=True)
    p.add_argument("--room", default="lobby")
    p.add_argument("--password-file")
    p.add_argument("--renew", type=float, default=RENEW_SECONDS)
    p.add_argument("--drop-after", type=int)
    p.add_argument("--max-wait", type=float)
    p.add_argument("--no-cast", action="store_true")
    p.add_argument("--download")
    p.add_argument("--no-direct", action="store_true")
    p.add_argument("--recap", action="store_true")
    p.add_argument("--json", action="store_true")  # it knows nothing else
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
