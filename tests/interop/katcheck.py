"""hearth.py against ../vectors/kat.json, every section and every case."""

import json
import os
import struct

import hearth as h

KAT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "kat.json")


def hx(text):
    return bytes.fromhex(text)


def eq(got, want, what):
    if isinstance(got, (bytes, bytearray)):
        got = got.hex()
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def refused(action, what, *kinds):
    try:
        action()
    except kinds or (h.ProtocolError, h.HandshakeError, ValueError):
        return
    raise AssertionError(what + ": accepted")


def repeated(case):
    data = hx(case["hex"])
    if "repeat" in case:
        data += hx(case["repeat"][0]) * case["repeat"][1]
    return data


class Kat:
    def __init__(self):
        with open(KAT, encoding="utf-8") as f:
            self.kat = json.load(f)
        self.keys = {}
        self.handshakes = {}

    def run(self):
        counts = {}
        for section in self.kat:
            if section != "comment":
                counts[section] = getattr(self, "check_" + section)(self.kat[section])
        return counts

    # §1
    def check_keys(self, part):
        n = 0
        for name, k in part.items():
            if name == "comment":
                continue
            key = self.keys[name] = h.PrivateIdentity.from_pem(k["pem"])
            eq(key.id, k["id"], name)
            eq(key.bits, k["bits"], name)
            eq(key.fp, k["fp"], name)
            eq(h.fp_text(key.fp), k["text"], name)
            eq(h.fp_from_text(k["text"]), k["fp"], name)
            import base64
            eq("ssh-rsa " + base64.b64encode(key.id).decode(),
               " ".join(k["ssh"].split()[:2]), name)
            again = h.PublicIdentity(hx(k["id"]))
            assert again.verify("x", b"m", key.sign("x", b"m"))
            s = os.urandom(32)
            eq(key.decapsulate(again.encapsulate(s)), s.hex(), name)
            n += 1
        return n

    def check_ids_rejected(self, part):
        for c in part["cases"]:
            refused(lambda: h.PublicIdentity(hx(c["hex"])), c["reason"], ValueError)
        blob = h.id_prefix(1024) + b"\x80" + bytes(1022) + b"\x01"
        refused(lambda: h.PublicIdentity(blob), "8192 bits", ValueError)
        return len(part["cases"]) + 1

    # §3
    def play(self, c, upto=None):
        """Both sides with the recorded ephemerals, signatures, s and c."""
        i = h.Initiator(c["mode"], self.keys[c["initiator"]], hx(c["prologue"]), hx(c["psk"]),
                        hx(c["eI_private"]))
        r = h.Responder(c["mode"], self.keys[c["responder"]], hx(c["prologue"]), hx(c["psk"]),
                        hx(c["eR_private"]))
        m1 = i.m1()
        r.read_m1(m1)
        m2 = r.m2(sig=h.split_fields(hx(c["ct2_plaintext"]), 2)[1])
        if upto == "M2":
            return i, r
        i.read_m2(m2, r.key.fp)
        if upto == "M3":
            return i, r
        fields = h.split_fields(hx(c["ct3_plaintext"]), 3 if c["mode"] == "peer" else 2)
        m3 = i.m3(s=hx(c["s"]) if "s" in c else None, c=hx(c["c"]) if "c" in c else None,
                  sig=fields[-1])
        r.read_m3(m3, i.key.fp)
        eq(m1, c["M1"], "M1"), eq(m2, c["M2"], "M2"), eq(m3, c["M3"], "M3")
        return i, r

    def check_transport(self, part):
        for c in part["cases"]:
            i, r = self.play(c)
            eq(i.public, c["eI"], "eI"), eq(r.public, c["eR"], "eR")
            for side in (i, r):
                for name in ("th0", "ee", "th1", "prk", "kR", "kI", "ct2_plaintext", "th2",
                             "ct3_plaintext", "th3", "prk2", "ckI", "ckR"):
                    eq(getattr(side, name), c[name], c["name"] + " " + name)
                if c["mode"] == "peer":
                    eq(side.s, c["s"], "s")
            eq(L_body(c["M2"], 32), c["ct2"], "ct2"), eq(L_body(c["M3"], 0), c["ct3"], "ct3")
            self.handshakes[c["name"]] = i
        return len(part["cases"])

    def check_peer(self, part):
        for c in part["cases"]:
            p = c["prologue_parts"]
            eq(h.peer_prologue(*[hx(p[x]) for x in
                                 ("fp_s", "room", "fp_i", "fp_r", "sid_i", "sid_r")]),
               c["prologue"], "prologue")
        return self.check_transport(part)

    def check_handshakes_rejected(self, part):
        base = next(c for c in self.kat["transport"]["cases"] if c["name"] == part["handshake"])
        for c in part["cases"]:
            i, r = self.play(base, c["message"])
            if c["message"] == "M2":
                refused(lambda: i.read_m2(hx(c["hex"])), "M2 " + c["reason"], h.HandshakeError)
            else:
                refused(lambda: r.read_m3(hx(c["hex"])), "M3 " + c["reason"], h.HandshakeError)
        return len(part["cases"])

    def check_points_rejected(self, part):
        for c in part["cases"]:
            for top in (0, 0x80):
                point = bytearray(hx(c["hex"]))
                point[-1] |= top
                key = self.keys["bob"]
                r = h.Responder("transport", key)
                refused(lambda: r.read_m1(h.MAGIC + bytes(point)), c["note"], h.HandshakeError)
                i = h.Initiator("transport", key)
                i.m1()
                refused(lambda: i.read_m2(bytes(point) + h.L(bytes(64))), c["note"],
                        h.HandshakeError)
        return len(part["cases"])

    # §4
    def check_records(self, part):
        hs = self.handshakes[part["handshake"]]
        cks = {"I": hs.ckI, "R": hs.ckR}
        for c in part["keys"]:
            chain = h.Chain(cks[c["direction"]])
            for _ in range(c["j"] * h.SPAN):
                chain._advance()
            eq(chain.ck, c["ck"], "ck"), eq(chain.key, c["key"], "key")
        out, back = h.Chain(hs.ckI), h.Chain(hs.ckI)
        around = {c["n"]: c for c in part["around"]}
        for n in range(max(around) + 1):
            plaintext = h.frame(h.PING, h.u64(n))
            key = out.key
            ct = out.seal(plaintext)
            eq(back.open(ct), plaintext.hex(), "opened")
            if n in around:
                c = around[n]
                eq(key, c["key"], "key"), eq(h.nonce(n), c["nonce"], "nonce")
                eq(plaintext, c["plaintext"], "plaintext"), eq(ct, c["ct"], "ct")
        for c in part["first"]:
            ct = h.Chain(cks[c["direction"]]).seal(hx(c["plaintext"]))
            eq(ct, c["ct"], "first"), eq(h.L(ct), c["tcp"], "tcp")
        several = part["several"]
        eq(b"".join(map(hx, several["frames"])), several["plaintext"], "several")
        eq([h.frame(k, b).hex() for k, b in h.frames(hx(several["plaintext"]))],
           several["frames"], "several")
        eq(h.Chain(hs.ckI).seal(hx(several["plaintext"])), several["ct"], "several")
        return len(part["keys"]) + len(part["around"]) + len(part["first"]) + 1

    # §5
    def receiver(self, part, who, state):
        """A reader in the state that the section's comment names."""
        if who == "relay":
            reader = h.RelayReader()
            reader.joined = state is None
            return reader
        roster = h.ClientRoster()
        if state is None:
            roster.take(h.WELCOME, hx(part["own"]) + struct.pack(">HH", 64, 1)
                        + hx(part["known"]) + bytes(32))
        return roster

    def check_frames(self, part):
        def feed(reader, plaintext):
            for kind, body in h.frames(plaintext):
                if reader.take(kind, body).kind == h.CLOSE:
                    return

        n = 0
        for c in part["valid"]:
            kind, body = next(h.frames(hx(c["frame"])))
            eq(body, c["body"], c["type"]), eq(h.FRAME_NAMES[kind], c["type"], "type")
            for who in ("relay", "client") if c["receiver"] == "both" else (c["receiver"],):
                fields = h.parse_frame(kind, body, who).fields
                eq(json.loads(json.dumps(fields, default=bytes.hex)), c["fields"], c["type"])
            n += 1
        for group in ("edge", "rejected"):
            for c in part[group]:
                for who in ("relay", "client") if c["receiver"] == "both" else (c["receiver"],):
                    reader = self.receiver(part, who, c.get("state"))
                    if group == "edge":
                        feed(reader, repeated(c))
                    else:
                        refused(lambda: feed(reader, repeated(c)), c["reason"], h.ProtocolError)
                n += 1
        return n

    # §6
    def check_messages(self, part):
        rebuilt = {
            "CLOSE": lambda f: h.build_close(f["reason"]),
            "HELLO": lambda f: h.build_hello(hx(f["instance"]), f["nick"], f["features"]),
            "CHAT": lambda f: h.build_chat(f["seq"], hx(f["id"]), f["time"], f["flags"],
                                           hx(f["view"]), f["text"]),
            "NICK": lambda f: h.build_nick(f["seq"], f["nick"]),
            "ACK": lambda f: h.build_ack(f["n"]),
            "GAP": lambda f: h.build_gap(f["n"])}
        for c in part["valid"]:
            fields = h.parse_message(hx(c["hex"])).fields
            eq(json.loads(json.dumps(fields, default=bytes.hex)), c["fields"], c["type"])
            if c["type"] in rebuilt:
                eq(rebuilt[c["type"]](c["fields"]), c["hex"], c["type"])
        for c in part["edge"]:
            h.parse_message(repeated(c))
        for c in part["rejected"]:
            state = c.get("state")
            if state:
                m = h.parse_message(repeated(c))
                refused(lambda: h.check_state(m, state.startswith("after"), 0), c["reason"],
                        h.ProtocolError)
            else:
                refused(lambda: h.parse_message(repeated(c)), c["reason"], h.ProtocolError)
        return sum(len(part[x]) for x in ("valid", "edge", "rejected"))

    def check_rooms(self, part):
        for c in part["tags"]:
            eq(h.room_name(c["name"]), c["r"], c["name"])
            eq(c["r"].encode(), c["r_utf8"], c["name"])
            eq(h.room_tag(c["name"]), c["tag"], c["name"])
        for c in part["refused"]:
            refused(lambda: h.room_tag(c["name"]), c["reason"], ValueError)
        return len(part["tags"]) + len(part["refused"])

    def check_views(self, part):
        for c in part["cases"]:
            members = [(hx(s), hx(f)) for s, f in c["members"]]
            eq(h.view_hash(hx(part["fp_s"]), hx(part["room"]), members), c["view"], c["note"])
            eq(h.view_hash(hx(part["fp_s"]), hx(part["room"]), members[::-1]), c["view"], "")
        return len(part["cases"])

    # §7, §8, §9
    def check_safety(self, part):
        for c in part["identities"]:
            eq(h.safety_number(self.keys[c["who"]].id), c["text"], c["who"])
        pair = sorted((self.keys["alice"], self.keys["bob"]), key=lambda k: k.fp)
        eq([h.safety_number(k.id) for k in pair], part["shown"], "shown")
        return len(part["identities"]) + 1

    def check_password(self, part):
        for c in part["cases"]:
            eq(h.nfc(c["password"]).encode(), c["nfc_utf8"], "NFC")
            eq(h.H(b"hearth/1 pw\0", hx(c["fp_s"])), c["salt"], "salt")
            kjoin, kroom = h.password_keys(c["password"], hx(c["fp_s"]))
            eq(kjoin + kroom, c["K"], "K")
            eq(kjoin, c["Kjoin"], "Kjoin"), eq(kroom, c["Kroom"], "Kroom")
            eq(h.join_text(kjoin), c["join_text"], "text")
            eq(h.join_proof(kjoin, hx(c["th3"])), c["proof"], "proof")
        return len(part["cases"])

    def check_nicks(self, part):
        fp = hx(part["fp"])
        for c in part["cases"]:
            nick, data = c["nick"], c["nick"].encode()
            eq(len(data), c["bytes"], nick)
            eq(h.own_nick_ok(nick), c["own"], repr(nick) + " own")
            if c["own"]:
                eq(h.nick_columns(nick), c["columns"], nick)
            if c["receipt"]:
                eq(h.received_nick(data), nick, nick)
                eq(h.shown_nick(nick, fp), c["shown"], nick)
            else:
                refused(lambda: h.received_nick(data), repr(nick), h.ProtocolError)
        same = part["same"]
        members = [(n, h.fp_from_text(f), hx(s)) for n, f, s in same["members"]]
        eq(h.shown_nicks(members), same["shown"], "same")
        return len(part["cases"]) + 1


def L_body(message, at):
    """The body of the L(x) at byte `at`, as hex."""
    data = hx(message)[at:]
    assert struct.unpack_from(">H", data)[0] == len(data) - 2
    return data[2:].hex()


if __name__ == "__main__":
    for name, count in Kat().run().items():
        print(f"kat {name}: {count}")
