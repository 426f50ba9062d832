"""Checks this folder: hearth.py against kat.json, then relay.py and client.py together.

    python3 selftest.py [TEST ...]    about a minute; exit 0 when all is well
    python3 selftest.py --slow        with the waits of 15 and 30 s
    python3 selftest.py --kat         only the known answers

Another program in the place of one's own (tests that need faults it does not know are left out):

    --relay "COMMAND"                 run with HEARTH_HOME, --port, --json, and what a test adds
    --client "COMMAND" [--for bob]    the clients of these names (comma between), HEARTH_HOME,
                                      --host, --port, --nick, --json, --password-file
"""

import argparse

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time

import hearth as h
import katcheck
import members

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = sys.executable
THIRDS = {"bob": 0, "ann": 1, "eve": 2}


class Program:
    """A child that writes JSON lines; `events` collects them."""

    def __init__(self, command, name, ours=True, home=None):
        self.ours = ours
        self.name, self.events, self.at = name, [], 0
        self.arrived = threading.Condition()
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

    def wait(self, event, timeout=10, count=1, **fields):
        """Until `count` such events have come; returns the last of them."""
        end = time.monotonic() + timeout
        while True:
            found = self.all(event, **fields)
            if len(found) >= count:
                return found[count - 1]
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.name}: no {event} {fields} in {timeout} s; "
                                     f"had {self.events[-12:]}")
            with self.arrived:
                self.arrived.wait(min(left, 0.1))

    def say(self, **line):
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def chat(self, text):
        self.say(type="chat", text=text)

    def command(self, text):
        self.say(type="command", text=text)

    def leave(self, timeout=15):
        """End of input; returns the exit code."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return self.process.wait(timeout)

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
        """Makes a key where there is none.  ann's fingerprint lies between those of bob and eve:
        so she meets them in both roles (but a key of 4096 bits is taken as it comes)."""
        if fits is None and home in THIRDS and bits < 4096:
            fits = lambda key: key.fp[0] * 3 >> 8 == THIRDS[home]
        h.load_identity(os.path.join(self.path(home), "server.pem" if home == "relay"
                                     else "identity.pem"), bits, fits)

    def start(self, own, home, options, foreign, foreign_options, name):
        """`foreign`: the command line of the other program, or None for one's own."""
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
        self.port = r.wait("listening", timeout=20)["port"]
        return r

    def client(self, nick, *more, home=None):
        self.key(home or nick, 2048)
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--nick", nick, *more]
        foreign = OPTIONS.client if nick in OPTIONS.names.split(",") else None
        return self.start("client.py", self.path(home or nick), [*options, "--max-wait", "1"],
                          foreign, options, nick)


def texts(program, nick=None):
    return [e["text"] for e in program.all("chat") if nick is None or e["nick"] == nick]


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
        ann.wait("joined", nick="bob", timeout=15)
        for extra in (("--password-file", wrong), ()):
            eve = w.client("eve", *extra)
            eve.wait("disconnected", timeout=15, **({"reason": "password"} if eve.ours else {}))
            check(eve.leave() == 1, "exit 1")
        ann.chat("inside")
        bob.wait("chat", text="inside")
        relay_fp = h.load_identity(os.path.join(w.path("relay"), "server.pem")).fp
        for p in w.programs:
            p.kill()
        key = w.password("joinkey", h.join_text(h.password_keys("p", relay_fp)[0]))
        w.relay("--join-key-file", key)
        ann = w.client("ann", "--password-file", w.password("p", "p"))
        ann.wait("welcome")


def test_ghost():
    """A relay without a password: who has one and who has none do not meet (§7)."""
    with World() as w:
        w.relay()
        ann = w.client("ann", "--password-file", w.password("p", "secret"))
        eve = w.client("eve")
        ann.wait("welcome"), eve.wait("welcome")
        time.sleep(2.5)
        check(not ann.all("joined") and not eve.all("joined"), "nobody is shown")


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
        ann.wait("joined", nick="carl", timeout=15)     # its place is free now
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
            p.wait("delivered", count=60, timeout=30)
        for p in people:
            for other in people:
                if p is not other:
                    want = [f"{other.name} {i}" for i in range(60)]
                    got = texts(p, other.name)
                    check(got == want, f"{p.name} from {other.name}: {got}")
            check(not p.all("lost") and not p.all("undelivered"), "nothing lost")
            check(all(e["view"] == "same" for e in p.all("chat")), "views")
        check(any(e["late"] for e in people[0].all("chat")), "some were late")


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
            p.wait("delivered", count=80, timeout=30)
        for p in (ann, bob):
            name, other = pair[p.name]
            check(texts(p, name) == [f"{name} {i}" for i in range(80)], texts(p, name))
        check(bob.all("disconnected"), "bob was cut")
        # a peer that breaks the protocol loses its channel, not its place
        bob.say(type="raw", to="ann", hex="ff")
        ann.wait("notice", text="channel failed: message type ff")
        bob.chat("again")
        ann.wait("chat", text="again", timeout=10)


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
            p.wait("delivered", count=300, timeout=20)
            check(texts(p, other) == [f"{other} {i}" for i in range(300)], texts(p, other))
            ups = [e for e in p.all("notice") if e["text"].startswith("channel up")]
            check(len(ups) == 4, ups)
            check(not p.all("disconnected") and len(p.all("joined")) == 1, "undisturbed")
            check(not any(e["late"] or e["view"] != "same" for e in p.all("chat")), "late")


def test_gap():
    """More than 1024 messages while nobody is there: the oldest are given up, and told."""
    with World() as w:
        relay = w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        ann.chat("first")
        ann.wait("delivered")
        relay.kill()
        ann.wait("disconnected"), bob.wait("disconnected")
        for i in range(1100):
            ann.chat(str(i))
        ann.wait("undelivered", count=76)
        w.relay(port=w.port)
        ann.wait("delivered", count=1025, timeout=30)
        check(bob.wait("lost")["count"] == 76, "76 lost")
        check(texts(bob) == ["first"] + [str(i) for i in range(76, 1100)], "the rest in order")
        check(all(e["late"] for e in bob.all("chat")[1:]), "late")


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
        check(texts(bob) == ["meanwhile"], texts(bob))


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
        check(texts(one) == ["both", "both again", "to one"], texts(one))


def test_restarted_client():
    """A client that is killed and comes back as a new instance gets what waits, as late."""
    with World() as w:
        w.relay()
        ann, bob = w.client("ann"), w.client("bob")
        ann.wait("joined"), bob.wait("joined")
        bob.kill()
        ann.wait("left", why="lost")
        ann.chat("for later")
        again = w.client("bob")
        e = again.wait("chat", text="for later")
        check(e["late"] and e["view"] == "same", e)
        ann.wait("delivered")
        check(ann.wait("joined", count=2)["trust"] == "known", "known")


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
    """probe.py against the relay."""
    with World() as w:
        w.relay("--room-capacity", "3")
        probe(w, *(["--slow"] if OPTIONS.slow else []))


def test_probe_password():
    """probe.py against a relay with a password: addresses of loopback, so Linux only."""
    with World() as w:
        given = w.password("given", "pässwörd Å")
        w.relay("--password-file", given)
        if sys.platform == "linux":
            probe(w, "--password-file", given)


def test_members():
    """members.py against a client that meets others in both roles."""
    with World() as w:
        w.key("ann", 2048, members.is_between)
        w.relay("--min-key-bits", "1024")
        print(f"ok: {members.check(w.client('ann'), w.port, OPTIONS.slow)} checks")


TESTS = [test_room, test_password, test_ghost, test_refusals, test_restart, test_faults,
         test_new_channels, test_gap, test_replaced, test_two_terminals, test_restarted_client,
         test_version, test_probe, test_probe_password, test_members]
# test_refusals and OWN_CLIENTS need faults on standard input; test_members is about clients
OWN_RELAY = {"test_refusals", "test_members"}
OWN_CLIENTS = {"test_refusals", "test_faults", "test_new_channels", "test_replaced"}


def main():
    global OPTIONS
    p = argparse.ArgumentParser()
    p.add_argument("--kat", action="store_true")
    p.add_argument("--relay")
    p.add_argument("--client")
    p.add_argument("--for", dest="names", default="bob")
    p.add_argument("--slow", action="store_true")
    p.add_argument("tests", nargs="*")
    OPTIONS = p.parse_args()
    print("kat:", ", ".join(f"{n} {c}" for n, c in katcheck.Kat().run().items()), flush=True)
    for test in TESTS if not OPTIONS.kat else ():
        name = test.__name__
        if OPTIONS.tests and name not in OPTIONS.tests or OPTIONS.relay and name in OWN_RELAY \
                or OPTIONS.client and name in OWN_CLIENTS:
            continue
        start = time.monotonic()
        test()
        print(f"ok: {name} ({time.monotonic() - start:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
