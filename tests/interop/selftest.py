"""Checks this folder: hearth.py against kat.json, then relay.py and client.py together.

    python3 selftest.py [TEST ...]    some minutes; exit 0 when all is well
    python3 selftest.py --slow        with the waits of 15 and 30 s
    python3 selftest.py --kat         only the known answers
    python3 selftest.py --jobs 3      three tests at a time

The known answers: see katcheck.py.

Another program in place of the one here (tests that need faults it cannot make are left out):

    --relay "COMMAND"                 run with HEARTH_HOME, --port, --json and options of the test
    --client "COMMAND" [--for bob]    the clients with these names (a,b,c), with HEARTH_HOME,
                                      --host, --port, --nick, --json, --password-file
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import json
import os
import shlex
import subprocess
import signal
import sys
import tempfile
import threading
import time

import files
import hearth as h
import katcheck
import members

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = sys.executable
THIRDS = {"bob": 0, "ann": 1, "eve": 2}
KEYS = {}                              # by name and size: the same in all tests
PATIENCE = 150                         # far longer than anything takes, on a busy machine too


class Program:
    """A child that writes JSON lines; `events` collects them."""

    def __init__(self, command, name, ours=True, home=None):
        self.ours = ours
        self.name, self.events, self.at = name, [], 0
        self.arrived = threading.Condition()      # of a lock that its holder may take again
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        cwd=HERE, env={**os.environ, "HEARTH_HOME": home or ""})
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.arrived:
                self.events.append(json.loads(line))
                self.arrived.notify_all()
        with self.arrived:
            self.events.append({"event": "(end)"})
            self.arrived.notify_all()

    def all(self, event, **fields):
        with self.arrived:
            return [e for e in self.events if e["event"] == event
                    and all(e.get(k) == v for k, v in fields.items())]

    def wait(self, event, count=1, **fields):
        """Until `count` such events have come; returns the last of them."""
        self.until(lambda: len(self.all(event, **fields)) >= count, f"{event} {fields}")
        return self.all(event, **fields)[count - 1]

    def until(self, condition, what):
        """Until the events fulfil a condition."""
        with self.arrived:
            if not self.arrived.wait_for(condition, PATIENCE):
                raise AssertionError(f"{self.name}: no {what} in {PATIENCE} s; "
                                     f"had {self.events[-12:]}")

    def say(self, **line):
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def chat(self, text):
        self.say(type="chat", text=text)

    def command(self, text):
        self.say(type="command", text=text)

    def leave(self):
        """End of input; returns the exit code."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class World:
    """A folder, a relay on a port of its own, some clients; all ended at the end."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.programs:
            p.kill()
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def password(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text + "\n")
        return self.path(name)

    def key(self, home, bits, fits=None):
        """Makes a key where there is none, for one name the same in all tests.  ann's fingerprint
        lies between those of bob and eve: so she meets them in both roles (but a key of 4096 bits
        is taken as it comes)."""
        path = os.path.join(self.path(home), "server.pem" if home == "relay" else "identity.pem")
        if os.path.exists(path):
            return
        if fits is not None:
            h.load_identity(path, bits, fits)
        elif (home, bits) in KEYS:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(KEYS[home, bits])
        else:
            if home in THIRDS and bits < 4096:
                fits = lambda key: key.fp[0] * 3 >> 8 == THIRDS[home]
            KEYS[home, bits] = h.load_identity(path, bits, fits).pem()

    def start(self, own, home, options, foreign, foreign_options, name):
        """`foreign`: the command line of the program under test, or None for the one here."""
        if foreign:
            command = [*shlex.split(foreign), *foreign_options, "--json"]
        else:
            command = [PYTHON, os.path.join(HERE, own), "--home", home, *options]
        p = Program(command, name, not foreign, home)
        self.programs.append(p)
        return p

    def relay(self, *more, port=0):
        self.key("relay", 2048)
        options = ["--port", str(port), *more]
        r = self.start("relay.py", self.path("relay"), options, OPTIONS.relay, options, "relay")
        self.port = r.wait("listening")["port"]
        return r

    def client(self, nick, *more, home=None):
        self.key(home or nick, 2048)
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--nick", nick, *more]
        foreign = OPTIONS.client if nick in OPTIONS.names.split(",") else None
        return self.start("client.py", self.path(home or nick), [*options, "--max-wait", "1"],
                          foreign, options, nick)


def texts(program, nick=None):
    return [e["text"] for e in program.all("chat") if nick is None or e["nick"] == nick]


def heard(program, want, nick=None):
    """Exactly these texts, in order (of this person)."""
    program.until(lambda: len(texts(program, nick)) >= len(want), f"{len(want)} texts")
    check(texts(program, nick) == want, f"{program.name} from {nick}: {texts(program, nick)}")


def channels_up(program):
    return [e for e in program.all("notice") if e["text"].startswith("channel up")]


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def test_room():
    """Three clients: texts, action, private, nick, away, delivered, left; keys of all sizes."""
    with World() as w:
        w.key("relay", 2048), w.key("ann", 2048), w.key("bob", 3072), w.key("eve", 4096)
        w.relay()
        ann, bob, eve = w.client("ann"), w.client("bob"), w.client("eve")
        for p in (ann, bob, eve):
            p.wait("joined", count=2)
        ann.chat("hello ⟨\u202e⟩\n\ttwo")
        bob.chat("x" * 8192)
        eve.command("/me waves")
        sent = ann.wait("sent")
        check(len(ann.wait("delivered", id=sent["id"])["to"]) == 2, "delivered to two")
        for p in (bob, eve):
            e = p.wait("chat", nick="ann")
            check(e["text"] == "hello ⟨\u202e⟩\n\ttwo" and e["view"] == "same"
                  and not e["late"] and not e["private"], e)
        check(ann.wait("chat", nick="eve")["action"], "action")
        ann.wait("chat", text="x" * 8192)
        bob.say(type="private", to="eve", text="psst")
        e = eve.wait("chat", text="psst")
        check(e["private"] and e["view"] == "same", e)
        bob.command("/nick robert")
        ann.wait("nick", **{"from": "bob", "nick": "robert"})
        bob.chat("after")
        ann.wait("chat", nick="robert", text="after")
        eve.command("/away lunch")
        ann.wait("away", text="lunch")
        check("psst" not in texts(ann), "private stays private")
        check(bob.leave() == 0, "exit 0")
        ann.wait("left", nick="robert", why="left")
        eve.process.kill()
        ann.wait("left", nick="eve", why="lost")
        check(ann.leave() == 0, "exit 0")


def test_password():
    """Right, wrong and none; a join key in the place of the password."""
    with World() as w:
        right, wrong = w.password("right", "pässwörd Å"), w.password("wrong", "nope")
        w.relay("--password-file", right)
        ann, bob = (w.client(n, "--password-file", right) for n in ("ann", "bob"))
        ann.wait("joined", nick="bob")
        check(ann.wait("welcome")["authenticated"] == "password", "authenticated")
        for extra in (("--password-file", wrong), ()):
            eve = w.client("eve", *extra)
            eve.wait("disconnected", **({"reason": "password"} if eve.ours else {}))
            check(eve.leave() == 1, "exit 1")
        ann.chat("inside")
        bob.wait("chat", text="inside")
        relay_fp = h.load_identity(os.path.join(w.path("relay"), "server.pem")).fp
        for p in w.programs:
            p.kill()
        key = w.password("joinkey", h.join_text(h.password_keys("p", relay_fp)[0]))
        w.relay("--join-key-file", key)
        ann = w.client("ann", "--password-file", w.password("p", "p"))
        ann.wait("welcome", authenticated="password")


def test_impostor():
    """A relay that does not know the password: found out by its answer, or by none (§7)."""
    for mode in ("answer", "no answer"):
        with World() as w:
            given = w.password("given", "secret")
            relay = w.relay("--password-file", given)
            relay.say(type="hostile", what=[mode])
            ann = w.client("ann", "--password-file", given)
            ann.wait("disconnected")
            check(not ann.all("welcome"), "no WELCOME is believed")
            check(ann.leave() == 1, "exit 1")


def test_ghost():
    """A relay without a password: clients with different passwords, or none, never meet (§7)."""
    with World() as w:
        w.relay()
        ann = w.client("ann", "--password-file", w.password("p", "secret"))
        bob = w.client("bob", "--password-file", w.password("q", "another"))
        eve = w.client("eve")
        people = ann, bob, eve
        for p in people:
            p.wait("welcome")
        again = w.client("ann2", "--password-file", w.path("p"))
        ann.wait("joined", nick="ann2"), again.wait("joined", nick="ann")
        time.sleep(2)
        check(not bob.all("joined") and not eve.all("joined"), "nobody is shown")
        check(len(ann.all("joined")) == 1 == len(again.all("joined")), "but who has it")
        ann.chat("hello")
        again.wait("chat", text="hello")
        check(len(ann.wait("sent")["to"]) == 1, "who you see is who gets it")
        ann.wait("delivered")


def test_refusals():
    """A key of 1024 bits, a full room, a member that is removed, a relay with a weak key."""
    with World() as w:
        w.relay_process = w.relay("--room-capacity", "2")
        w.key("weak", 1024)
        weak = w.client("weak")
        weak.wait("disconnected", reason="key too weak")
        check(weak.leave() == 1, "exit 1")
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined", nick="bob")
        carl = w.client("carl")
        carl.wait("disconnected", reason="full")
        carl.wait("reconnecting")
        w.relay_process.say(type="remove", fingerprint=ann.wait("joined")["fingerprint"])
        bob.wait("disconnected", reason="removed")
        ann.wait("left", nick="bob", why="removed")
        ann.wait("joined", nick="carl")     # its place is free now
    with World() as w:
        w.key("relay", 1024)
        w.relay()
        w.client("ann").wait("disconnected", reason="relay key too weak")


def test_restart():
    """The relay is killed and started again while texts are typed: each once, in order."""
    with World() as w:
        relay = w.relay()
        people = [w.client(n) for n in ("ann", "bob", "eve")]
        for p in people:
            p.wait("joined", count=2)
        for i in range(60):
            for p in people:
                p.chat(f"{p.name} {i}")
            if i == 20:
                relay.kill()
            if i == 40:
                relay = w.relay(port=w.port)
            time.sleep(0.05)
        for p in people:
            p.wait("delivered", count=60)
        for p in people:
            for other in people:
                if p is not other:
                    heard(p, [f"{other.name} {i}" for i in range(60)], other.name)
            check(not p.all("lost") and not p.all("undelivered"), "nothing lost")
            check(all(e["view"] == "same" for e in p.all("chat")), "views")


def test_faults():
    """--drop-after, /cut, a new channel beside the old one, a channel that ends, old seqs."""
    with World() as w:
        w.relay()
        ann, bob = w.client("ann"), w.client("bob", "--drop-after", "12")
        ann.wait("joined"), bob.wait("joined")
        pair = {"ann": ("bob", bob), "bob": ("ann", ann)}
        for i in range(80):
            for p in (ann, bob):
                p.chat(f"{p.name} {i}")
                if i in (10, 30, 50):
                    p.say(type="rehandshake", to=pair[p.name][0])
            if i == 20:
                ann.command("/cut")
            if i == 40:
                bob.say(type="endchannel", to="ann", reason=4)
            if i == 60:
                bob.say(type="replay", to="ann", n=5)
            time.sleep(0.05)
        for p in (ann, bob):
            p.wait("delivered", count=80)
        for p in (ann, bob):
            name, other = pair[p.name]
            heard(p, [f"{name} {i}" for i in range(80)], name)
        check(bob.all("disconnected"), "bob was cut")
        # a peer that breaks the protocol loses its channel, not its place
        bob.say(type="raw", to="ann", hex="ff")
        ann.wait("notice", text="channel failed: message type ff")
        bob.chat("again")
        ann.wait("chat", text="again")


def test_new_channels():
    """New channels beside the old one while both sides send: nothing is cut, nothing is late."""
    with World() as w:
        w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        people = {"ann": (ann, "bob"), "bob": (bob, "ann")}
        for p in (ann, bob):
            p.wait("joined")
        for i in range(300):
            for p, other in people.values():
                p.chat(f"{p.name} {i}")
                if i in (50, 120, 200):
                    p.say(type="rehandshake", to=other)     # one of the two is the initiator
            time.sleep(0.003)
        for p, other in people.values():
            p.wait("delivered", count=300)
            heard(p, [f"{other} {i}" for i in range(300)], other)
            p.until(lambda: len(channels_up(p)) == 4, "four channels")
            check(not p.all("disconnected") and len(p.all("joined")) == 1, "undisturbed")
            check(not any(e["late"] or e["view"] != "same" for e in p.all("chat")), "late")


def test_gap():
    """More than 1024 messages while a person is lost: the oldest are given up, and reported."""
    with World() as w:
        relay = w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        ann.chat("first")
        ann.wait("delivered")
        fp = ann.wait("joined")["fingerprint"]
        bob.process.send_signal(signal.SIGSTOP)
        relay.say(type="cut", fingerprint=fp)
        ann.wait("left", why="lost")
        for i in range(1100):
            ann.chat(str(i))
        ann.wait("undelivered", count=76)
        bob.process.send_signal(signal.SIGCONT)
        ann.wait("delivered", count=1025)
        check(bob.wait("lost")["count"] == 76, "76 lost")
        heard(bob, ["first"] + [str(i) for i in range(76, 1100)])


def test_offline():
    """What is written while offline is sent 5 s after the next WELCOME, marked late."""
    with World() as w:
        relay = w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        relay.kill()
        ann.wait("disconnected"), bob.wait("disconnected")
        for i in range(100):
            ann.chat(str(i))
        time.sleep(5.5)
        check(len(ann.all("sent")) == 0, "nothing is accepted without a connection")
        w.relay(port=w.port)
        ann.wait("delivered", count=100)
        heard(bob, [str(i) for i in range(100)])
        check(all(e["late"] and e["view"] == "same" for e in bob.all("chat")), "late")


def test_replaced():
    """The same instance joins again while the relay still holds its old connection (§5)."""
    with World() as w:
        w.relay("--room-capacity", "2")
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        bob.command("/abandon")
        ann.chat("meanwhile")
        ann.wait("left", why="replaced")
        ann.wait("delivered")
        bob.chat("back")
        ann.wait("chat", text="back")
        heard(bob, ["meanwhile"])


def test_two_terminals():
    """One identity twice: each gets everything, `to` names it once, shown nicks differ."""
    with World() as w:
        w.relay()
        one = w.client("ann")
        one.wait("welcome")
        two, bob = w.client("ann", home="ann"), w.client("bob")
        for p in (one, two, bob):
            p.wait("joined", count=2)
        fp = bob.wait("joined")["fingerprint"]
        bob.chat("both")
        bob.say(type="private", to=fp, text="both again")
        for p in (one, two):
            p.wait("chat", text="both")
            check(p.wait("chat", text="both again")["view"] == "same", "view")
        check(bob.wait("delivered", count=2)["to"] == [fp], "once")
        one.chat("from one")
        bob.wait("chat", text="from one"), two.wait("chat", text="from one")
        two.kill()
        bob.wait("left", why="lost")
        bob.chat("to one")
        bob.wait("delivered", count=3)      # what waits for the gone terminal does not count
        heard(one, ["both", "both again", "to one"])


def test_restarted_client():
    """A client that is killed and comes back as a new instance gets what waits, as late."""
    with World() as w:
        w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        ann.chat("settled")            # until it is, what is written waits
        ann.wait("delivered")
        bob.kill()
        ann.wait("left", why="lost")
        ann.chat("for later")
        ann.wait("sent", count=2)
        again = w.client("bob")
        e = again.wait("chat", text="for later")
        check(e["late"] and e["view"] == "same", e)
        ann.wait("delivered", count=2)
        check(ann.wait("joined", count=2)["trust"] == "known", "known")


def test_newcomer():
    """A newcomer gets nothing written before; a person who has left gets nothing more (§6)."""
    with World() as w:
        w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        ann.chat("for two")
        check(len(ann.wait("sent")["to"]) == 1, "one")
        eve = w.client("eve")
        eve.wait("joined", count=2), ann.wait("joined", count=2)
        ann.chat("for three")
        eve.wait("chat", text="for three")
        check(texts(eve) == ["for three"], texts(eve))
        ann.wait("delivered", count=2)  # or bob has not acknowledged it yet
        bob.leave()
        ann.wait("left", why="left")
        ann.chat("without bob")
        check(len(ann.wait("sent", count=3)["to"]) == 1, "who said goodbye is nobody")
        ann.wait("delivered", count=3)
        eve.leave()
        ann.wait("left", count=2)
        ann.chat("alone")
        check(ann.wait("undelivered")["to"] == [], "nobody was there")


def test_notes():
    """Replies, reactions, edits, retractions, by whom; a topic that newcomers receive (§6)."""
    with World() as w:
        w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        ann.chat("helo")
        ident = bob.wait("chat", text="helo")["id"]
        bob.say(type="chat", text="hi", reply=ident)
        check(ann.wait("chat", text="hi").get("reply") == ident, "reply")
        bob.say(type="note", ref=ident, what="reaction", text="👍🏽")
        check(ann.wait("note")["text"] == "👍🏽", "reaction")
        bob.say(type="note", ref=ident, what="unreaction", text="")
        ann.wait("note", what="unreaction", ref=ident)
        ann.say(type="note", ref=ident, what="edit", text="hello")
        bob.wait("note", what="edit", ref=ident, text="hello")
        ann.say(type="note", ref=ident, what="retraction", text="")
        bob.wait("note", what="retraction", ref=ident)
        if bob.ours and ann.ours:          # a well-behaved client would not send these
            fp = bob.wait("joined")["fingerprint"]
            bob.say(type="note", ref=ident, what="edit", text="by somebody else", of=fp)
            bob.say(type="note", ref=ident, what="reaction", text="ab")
            bob.chat("after")
            ann.wait("chat", text="after")
            check(len(ann.all("note")) == 2, ann.all("note"))
        ann.command("/topic tea at four")
        bob.wait("topic", text="tea at four")
        eve = w.client("eve")
        eve.wait("topic", text="tea at four")
        bob.command("/topic tea at five")
        for p in (ann, eve):
            p.wait("topic", text="tea at five")


def test_recap():
    """Two who agree hand on what was said to one who comes later, as hearsay (§17)."""
    with World() as w:
        w.relay("--password-file", w.password("p", "between friends"))
        more = ("--password-file", w.path("p"))
        ann = w.client("ann", *more, "--recap")
        ann.wait("welcome")
        bob = w.client("bob", *more, "--recap")
        ann.wait("joined"), bob.wait("joined")
        ann.chat("first"), bob.wait("chat", text="first")
        ident = bob.all("chat")[0]["id"]
        ann.say(type="note", ref=ident, what="edit", text="once")
        bob.wait("note", what="edit")
        bob.command("/me nods"), ann.wait("chat", text="nods")
        bob.command("/recap off")
        bob.chat("not for others"), ann.wait("chat", text="not for others")
        bob.command("/recap on")
        ann.chat("gone"), bob.wait("chat", text="gone")
        gone = bob.all("chat", text="gone")[0]["id"]
        ann.say(type="note", ref=gone, what="retraction", text="")
        bob.wait("note", what="retraction")
        bob.chat("last"), ann.wait("chat", text="last")
        ann.say(type="private", to="bob", text="psst"), bob.wait("chat", text="psst")
        for nick in ("eve", "dave", "fay"):        # who has both before they ask
            eve = w.client(nick, *more, "--recap")
            if len(eve.wait("missed")["by"]) == 2:
                break
        eve.wait("chat", text="last")
        told = [(e["text"], e["action"], len(e.get("hearsay", ()))) for e in eve.all("chat")]
        # bob has forgotten what he heard before he switched it off
        check(told == [("once", False, 1), ("nods", True, 1), ("last", False, 2)], told)
        check(eve.all("missed")[0]["from"] == "hearsay", "hearsay")
        ann.wait("joined", nick=nick)
        ann.chat("now")
        check("hearsay" not in eve.wait("chat", text="now"), "first-hand")


def test_operators():
    """ADMIN, RESULT and NOTICE (§5)."""
    with World() as w:
        w.key("ann", 2048), w.key("bob", 2048)
        fps = {n: h.fp_text(h.load_identity(os.path.join(w.path(n), "identity.pem")).fp)
               for n in ("ann", "bob")}
        w.relay("--operators", w.password("operators", fps["ann"]),
                "--motd", w.password("motd", "Mind the gap"))
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        bob.wait("server", what="motd", text="Mind the gap")
        bob.say(type="command", text="/kick " + fps["ann"], ref="1")
        check(bob.wait("result", ref="1")["status"] == 1, "not allowed")
        for number, (command, status) in enumerate((
                ("/announce dinner", 0), ("/kick " + fps["ann"], 1), ("/unban " + fps["bob"], 4),
                ("/motd -", 0), ("/ban " + fps["bob"] + " 10m", 0), ("/bans", 0),
                ("/kick " + fps["bob"], 4))):
            ann.say(type="command", text=command, ref=str(number))
            e = ann.wait("result", ref=str(number))
            check(e["status"] == status, (command, e))
            if command == "/bans":
                check([b["fingerprint"] for b in e["bans"]] == [fps["bob"]], e)
        bob.wait("server", what="announcement", text="dinner")
        bob.wait("disconnected", reason="removed")
        ann.wait("left", nick="bob", why="removed")
        again = w.client("bob")
        again.wait("disconnected", reason="not allowed")
        ann.say(type="command", text="/unban " + fps["bob"], ref="u")
        check(ann.wait("result", ref="u")["status"] == 0, "unbanned")
        w.client("bob").wait("welcome")


def test_cast():
    """One envelope for several members brings what single records would have."""
    with World() as w:
        relay = w.relay()
        people = [w.client("ann"), w.client("bob"), w.client("eve"), w.client("dan", "--no-cast")]
        for p in people:
            p.wait("joined", count=3)
        for i in range(30):
            for p in people:
                p.chat(f"{p.name} {i} " + "ü" * (i * 100))
        for p in people:
            p.wait("delivered", count=30)
        for p in people:
            for other in people:
                if p is not other:
                    heard(p, [f"{other.name} {i} " + "ü" * (i * 100) for i in range(30)],
                          other.name)
            check(all(e["view"] == "same" and not e["late"] for e in p.all("chat")), "views")
        if relay.ours:
            relay.say(type="counts")
            check(relay.wait("counts")["frames"]["CAST"] >= 30, relay.wait("counts"))


def test_renewal():
    """Channels renewed every second while both sides write: nothing is cut, late or twice (§6)."""
    with World() as w:
        w.relay()
        people = [w.client(n, "--renew", "1") for n in ("ann", "bob", "eve")]
        for p in people:
            p.wait("joined", count=2)
        for i in range(120):
            for p in people:
                p.chat(f"{p.name} {i}")
            time.sleep(0.04)
        for p in people:
            p.wait("delivered", count=120)
        for p in people:
            for other in people:
                if p is not other:
                    heard(p, [f"{other.name} {i}" for i in range(120)], other.name)
            p.until(lambda: len(channels_up(p)) >= 6, "renewals")
            check(not p.all("disconnected") and len(p.all("joined")) == 2, "undisturbed")
            check(not any(e["late"] or e["view"] != "same" for e in p.all("chat")), "late")


def hostile(mode, seconds=3):
    """What a relay can do to records: in the end each text has arrived once, intact, in order."""
    with World() as w:
        relay = w.relay()
        people = [w.client(n) for n in ("ann", "bob", "eve")]
        for p in people:
            p.wait("joined", count=2)
        relay.say(type="hostile", what=[mode])
        for i in range(20):
            for p in people:
                p.chat(f"{p.name} {i}")
            time.sleep(seconds / 20)
        relay.say(type="hostile", what=[])
        for p in people:
            p.wait("delivered", count=20)
        for p in people:
            for other in people:
                if p is not other:
                    heard(p, [f"{other.name} {i}" for i in range(20)], other.name)
            check(not p.all("lost") and not p.all("undelivered"), mode)
            check(not p.all("disconnected"), "a peer channel that fails does not end the transport")


def test_hostile():
    """A relay that drops, replays, reorders, mixes up and changes what it passes on."""
    modes = ["drop", "replay", "reorder", "flip", "box", "mirror"]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(hostile, modes))


def test_hostile_roster():
    """A relay that lists a member who does not exist, or a member under another FP: only proven
    identities are shown, and views differ."""
    with World() as w:
        relay = w.relay()
        ann = w.client("ann")
        ann.wait("welcome")
        relay.say(type="hostile", what=["ghost"])
        bob = w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        ann.chat("hello")
        e = bob.wait("chat")
        check(e["view"] == "differs", e)
        check(len(ann.wait("sent")["to"]) == 1 and len(bob.all("joined")) == 1, "no ghost")
        ann.wait("delivered")
        relay.say(type="hostile", what=["roster"])
        eve = w.client("eve")
        eve.wait("welcome")
        time.sleep(3)
        check(not eve.all("joined") and len(ann.all("joined")) == 1, "nobody meets the misnamed")


def test_version():
    """Another magic is answered HEARTH/? and closed (§3)."""
    import socket
    with World() as w:
        w.relay()
        with socket.create_connection(("127.0.0.1", w.port)) as s:
            s.sendall(b"GET / HT")
            data = b""
            while piece := s.recv(100):
                data += piece
            check(data == b"HEARTH/?", data)


def probe(w, *more):
    subprocess.run([PYTHON, os.path.join(HERE, "probe.py"), "--port", str(w.port), *more],
                   check=True)


def test_probe():
    """probe.py against the relay, whose operator is alice of kat.json."""
    with World() as w:
        alice = katcheck.Kat().kat["keys"]["alice"]
        w.relay("--room-capacity", "3", "--operators", w.password("operators", alice["text"]))
        probe(w, "--operator", w.password("alice.pem", alice["pem"]),
              *(["--slow"] if OPTIONS.slow else []))


def test_probe_password():
    """probe.py against a relay with a password; other addresses of loopback on Linux only."""
    with World() as w:
        given = w.password("given", "pässwörd Å")
        w.relay("--password-file", given)
        probe(w, "--password-file", given, *(["--loopback"] if sys.platform == "linux" else []))


def test_members():
    """members.py against a client that meets others in both roles."""
    with World() as w:
        w.key("ann", 2048, members.is_between)
        w.relay("--min-key-bits", "1024")
        print(f"ok: {members.check(w.client('ann'), w.port, OPTIONS.slow)} checks", flush=True)


def test_members_password():
    """members.py against a client with a password."""
    with World() as w:
        alice = members.kat.keys["alice"]
        w.key("ann", 2048, lambda key: members.is_between(key) and key.fp > alice.fp)
        w.relay()
        ann = w.client("ann", "--password-file", w.password("p", "secret"))
        ann.wait("welcome")
        members.check_guesses(ann, w.port, "secret")


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


class FilePair:
    """Two who send each other files; what comes to NAME is kept in `in-NAME`."""

    def __init__(self, w, *more):
        w.relay()
        self.w, self.people = w, {}
        for name in ("ann", "bob"):
            os.mkdir(w.path("in-" + name))
            self.people[name] = w.client(name, "--download", w.path("in-" + name), *more)
        for p in self.people.values():
            p.wait("joined")

    def __iter__(self):
        return iter(self.people.values())

    def offer(self, sender, path):
        """Has it accepted by the other one; the id."""
        receiver = next(p for p in self if p is not sender)
        count = len(receiver.all("offer"))
        sender.say(type="send", to=receiver.name, path=path)
        ident = receiver.wait("offer", count=count + 1)["id"]
        receiver.say(type="accept", id=ident)
        return receiver, ident

    def send(self, sender, path):
        """To its end; the path it is kept at."""
        receiver, ident = self.offer(sender, path)
        sender.wait("sentfile", id=ident)
        return receiver.wait("received", id=ident)["path"]


FILM = b"".join(i.to_bytes(4, "big") for i in range(200_000))


def test_files():
    """Files and folders both ways, straight and through the relay; one is declined, one is empty."""
    for more, state in (((), "direct"), (("--no-direct",), "relayed")):
        with World() as w:
            pair = FilePair(w, *more)
            film = write(w.path("out/film.bin"), FILM)
            write(w.path("photos/a/1.jpg"), FILM[:70_000])
            write(w.path("photos/a/2.jpg"), b"")
            write(w.path("photos/b.jpg"), FILM[:5])
            os.mkdir(w.path("photos/empty"))
            for sender in pair:
                check(read(pair.send(sender, film)) == FILM, "the film")
                # A busy computer may not connect within 3 s; then the relay is the way.
                check(state == "direct" or not sender.all("transfer", state="direct"), "the way")
                check(read(pair.send(sender, write(w.path("out/none"), b""))) == b"", "nothing")
                kept = pair.send(sender, w.path("photos"))
                for name, size in (("a/1.jpg", 70_000), ("a/2.jpg", 0), ("b.jpg", 5)):
                    check(read(os.path.join(kept, name)) == FILM[:size], name)
                check(os.path.isdir(os.path.join(kept, "empty")), "an empty folder")
            ann, bob = pair
            ann.say(type="send", to="bob", path=film)
            ident = bob.wait("offer", count=4)["id"]
            bob.say(type="decline", id=ident)
            ann.wait("transferfailed", id=ident, code="declined")
            ann.chat("still here")
            bob.wait("chat", text="still here")


def test_files_resumed():
    """A part that is there already is compared; a connection that breaks is made anew."""
    with World() as w:
        pair = FilePair(w)
        for i, sender in enumerate(pair):
            receiver = next(p for p in pair if p is not sender)
            if receiver.ours:
                for name, there, start in (("good", FILM[:100_000], 100_000),
                                           ("bad", bytes(100_000), 0)):
                    write(w.path(f"in-{receiver.name}/{name}.part"), there)
                    kept = pair.send(sender, write(w.path(f"out/{name}"), FILM))
                    check(read(kept) == FILM, name)
                    check(receiver.all("transfer")[-1]["start"] == start, f"{name}: from {start}")
            for breaks in (p for p in pair if p.ours):
                name = f"cut{i}{breaks.name}"
                breaks.say(type="filefault", what="cut", after=300_000)
                check(read(pair.send(sender, write(w.path("out/" + name), FILM))) == FILM, name)
                e = breaks.all("transfer")[-1]
                check(e["start"] > 0 or e["state"] == "relayed", f"{name}: {e}")


def test_files_relay_gone():
    """The relay is killed and started again under a transfer that goes through it."""
    with World() as w:
        w.key("relay", 2048)
        pair = FilePair(w, "--no-direct")
        relay, port = w.programs[0], w.port
        for i, sender in enumerate(pair):
            receiver, ident = pair.offer(sender, write(w.path(f"out/long{i}"), FILM * 4))
            sender.wait("transfer", id=ident, state="relayed")
            relay.kill()
            relay = w.relay(port=port)
            sender.wait("sentfile", id=ident)
            check(read(receiver.wait("received", id=ident)["path"]) == FILM * 4, "the film")


def test_files_broken():
    """What has no place on a direct connection costs the transfer, and a record that does not open
    the connection; never the chat, nor the next transfer."""
    def one(kind, body=b""):
        return files.pack([(kind, body)])
    anybody = [b"\x10", b"\x11\0\0\0\x02x", b"\x11\0\0\0\0", one(0x18), one(files.STOP, b"\x0a"),
               one(files.ALIVE, b"x"), one(files.KEPT, b"x"), one(files.GO, bytes(7)),
               one(files.GO, b"\xff" * 8)]
    of_sender = [one(files.GOT, bytes(8)), one(files.KEPT), one(files.GO, bytes(8)),
                 one(files.SKIP, b"\0"), one(files.DONE, h.u64(1)), one(files.DONE, h.u64(len(FILM))),
                 one(files.ENTRY, bytes(18) + b"x")]
    of_receiver = [one(files.GOT, h.u64(len(FILM) + 1)), one(files.DATA, b"x"),
                   one(files.DONE, h.u64(0)), one(files.SKIP, b"\0")]
    no_record = [b"\0\4\0\x21", b"\0\0\0\x11" + bytes(17)]
    with World() as w:
        pair = FilePair(w)
        numbers = itertools.count()

        def film():
            return write(w.path(f"out/{next(numbers)}"), FILM)

        def offer_straight(sender):
            """Until one goes straight: on a busy machine that may take more than 3 s, and then the
            relay has it, where no fault is done."""
            for _ in range(20):
                _, ident = pair.offer(sender, film())
                over = lambda: [e for name in ("transferfailed", "received", "sentfile")
                                for e in victim.all(name, id=ident)]
                victim.until(over, f"the end of {ident}")
                if over()[0]["event"] == "transferfailed":
                    return ident
            raise AssertionError("no transfer goes straight")

        for liar in (p for p in pair if p.ours):
            victim = next(p for p in pair if p is not liar)
            for sender, plaintexts in ((liar, anybody + of_sender), (victim, anybody + of_receiver)):
                for plaintext in plaintexts:
                    liar.say(type="filefault", what="record", hex=plaintext.hex())
                    ident = offer_straight(sender)
                    e = victim.wait("transferfailed", id=ident)
                    check(e["code"] == "protocol", f"{plaintext[:20]}: {e}")
                    if sender is liar:     # a receiver may have all of it by then
                        liar.wait("transferfailed", id=ident)
            for sender in pair:
                for data in no_record:
                    liar.say(type="filefault", what="bytes", hex=data.hex())
                    check(read(pair.send(sender, film())) == FILM, f"after {data[:20]}")
            victim.chat("still here")
            liar.wait("chat", text="still here")


TESTS = [test_room, test_password, test_impostor, test_ghost, test_refusals, test_restart,
         test_faults, test_new_channels, test_renewal, test_gap, test_offline, test_replaced,
         test_two_terminals, test_restarted_client, test_newcomer, test_notes, test_recap, test_operators,
         test_cast, test_files, test_files_resumed, test_files_relay_gone, test_files_broken,
         test_hostile, test_hostile_roster, test_version, test_probe,
         test_probe_password, test_members, test_members_password]
# these need faults on standard input; test_members is about clients
OWN_RELAY = {"test_impostor", "test_refusals", "test_gap", "test_hostile", "test_hostile_roster",
             "test_members", "test_members_password"}
OWN_CLIENTS = {"test_refusals", "test_faults", "test_new_channels", "test_renewal", "test_replaced"}
BY_NAME = {"test_files_broken"}        # waits for many connections that are made anew
NO_CLIENTS = {"test_version", "test_probe", "test_probe_password"}


def main():
    global OPTIONS
    p = argparse.ArgumentParser()
    p.add_argument("--kat", action="store_true")
    p.add_argument("--relay")
    p.add_argument("--client")
    p.add_argument("--for", dest="names", default="bob")
    p.add_argument("--slow", action="store_true")
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("tests", nargs="*")
    OPTIONS = p.parse_args()
    if OPTIONS.kat or not (OPTIONS.tests or OPTIONS.client):
        print("kat:", ", ".join(f"{n} {c}" for n, c in katcheck.Kat().run().items()), flush=True)
    left_out = (OWN_RELAY if OPTIONS.relay else set()) | (
        OWN_CLIENTS | NO_CLIENTS if OPTIONS.client else set())

    def run(test):
        start = time.monotonic()
        test()
        print(f"ok: {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)

    left_out = left_out | (BY_NAME - set(OPTIONS.tests))
    chosen = [t for t in TESTS if t.__name__ not in left_out
              and (not OPTIONS.tests or t.__name__ in OPTIONS.tests)]
    with concurrent.futures.ThreadPoolExecutor(OPTIONS.jobs) as pool:
        list(pool.map(run, () if OPTIONS.kat else chosen))


if __name__ == "__main__":
    main()
