"""hearth.py, kem.py and ristretto.py against the known answers, every section and every case.

    python3 katcheck.py [FILE]         FILE, else $HEARTH_KAT, else ../vectors/kat.json

Beside it, where they are there, the Wycheproof vectors of ML-KEM-768, Ed25519 and X25519.
"""

import hashlib
import json
import os
import struct
import sys

import files
import hearth as h
import kem
import ristretto

HERE = os.path.dirname(os.path.abspath(__file__))
KAT = os.environ.get("HEARTH_KAT") or os.path.join(HERE, "..", "vectors", "kat.json")


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


def scalar(text):
    return int.from_bytes(hx(text), "little")


class Kat:
    """kat.json, and the checks of each of its parts; every check returns how many cases it had."""

    def __init__(self, path=KAT):
        self.folder = os.path.dirname(path)
        with open(path, encoding="utf-8") as f:
            self.kat = json.load(f)
        if "HEARTH/2" not in self.kat["comment"]:
            raise SystemExit(path + " has the known answers of another version")
        self.keys = {}
        self.handshakes = {}

    def run(self):
        counts = {}
        for section in self.kat:
            if section != "comment":
                counts[section] = getattr(self, "check_" + section)(self.kat[section])
        for name in ("mlkem_768", "mlkem_768_encaps", "ed25519", "x25519"):
            for folder in (self.folder, os.path.join(self.folder, "..", "vectors")):
                path = os.path.join(folder, f"wycheproof_{name}.json")
                if os.path.exists(path):
                    with open(path, encoding="utf-8") as f:
                        counts[name] = getattr(self, "wycheproof_" + name)(json.load(f))
                    break
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

    def check_kem(self, part):
        for c in part["cases"]:
            for key in (kem.PlainKey(hx(c["dk_seed"])), kem.Key(hx(c["dk_seed"]))):
                eq(key.ek, c["ek"], "ek")
                eq(key.decapsulate(hx(c["kct"])), c["kss"], "kss")
                eq(key.decapsulate(hx(c["forged_kct"])), c["forged_kss"], "forged kss")
            assert kem.good_ek(key.ek)
            kct, kss = kem.encaps_internal(key.ek, hx(c["m"]))
            eq(kct, c["kct"], "kct"), eq(kss, c["kss"], "kss")
            kct, kss = kem.encapsulate(key.ek)
            eq(kem.PlainKey(hx(c["dk_seed"])).decapsulate(kct), kss.hex(), "one's own")
        return len(part["cases"])

    def check_cpace(self, part):
        for c in part["cases"]:
            given = hx(c["prs"]), hx(c["ci"]), hx(c["sid"])
            text = ristretto.generator_string(*given)
            eq(text, c["generator_string"], "string")
            eq(hashlib.sha512(text).digest(), c["hash"], "hash")
            a = ristretto.CPace(*given, True, scalar(c["ya"]))
            b = ristretto.CPace(*given, False, scalar(c["yb"]))
            eq(ristretto.encode(a.g), c["generator"], "generator")
            eq(a.Y, c["Ya"], "Ya"), eq(b.Y, c["Yb"], "Yb")
            ada, adb = hx(c.get("ada", "")), hx(c.get("adb", ""))
            eq(a.result(b.Y, ada, adb), c["isk"], "isk"), eq(b.result(a.Y, adb, ada), c["isk"], "isk")
            eq(a.K, c["K"], "K"), eq(b.K, c["K"], "K")
        m = part["multiply"]
        eq(ristretto.encode(ristretto.multiply(scalar(m["s"]), ristretto.decode(hx(m["X"])))),
           m["sX"], "multiply")
        for c in part["rejected"]:
            side = ristretto.CPace(bytes(32), bytes(32), bytes(32), True)
            refused(lambda: side.result(hx(c["hex"])), c["note"], ValueError)
        return len(part["cases"]) + 1 + len(part["rejected"])

    # §3
    def sides(self, c):
        """Both sides with the recorded ephemerals, session keys and scalars."""
        def side(role, letter, identity):
            key, session = self.keys[identity], None
            if "sk" + letter in c:
                given = {"seed": hx(c["sk" + letter]), "cert": hx(c["CERT" + letter])}
                if c["mode"] == "transport":
                    session = h.SessionKey.of_relay(key, **given)
                else:
                    p = c["prologue_parts"]
                    session = h.SessionKey.of_member(
                        key, hx(p["fp_s"]), hx(p["room"]), hx(p["sid_" + letter.lower()]), **given)
                eq(session.pk, c["pk" + letter], "pk")
            return role(c["mode"], key, hx(c["prologue"]),
                        hx(c["Kroom"]) if c.get("Kroom") else None, session,
                        hx(c[f"e{letter}_private"]),
                        scalar(c["y" + letter]) if c.get("y" + letter) else None)
        return side(h.Initiator, "I", c["initiator"]), side(h.Responder, "R", c["responder"])

    def play(self, c, upto=None):
        """The whole handshake, or up to the message that is to be given."""
        i, r = self.sides(c)
        m1 = i.m1(hx(c["dk_seed"]))
        eq(kem.encaps_internal(i.ek, hx(c["m"]))[0], c["kct"], "kct")
        if upto == "M1":
            return i, r
        r.read_m1(m1, hx(c["kct"]), hx(c["kss"]))
        m2 = r.m2()
        if upto == "M2":
            return i, r
        i.read_m2(m2, r.key.fp)
        if upto == "M3":
            return i, r
        if c["mode"] == "peer":
            eq(r.key.decapsulate(hx(c["c"])), c["s"], "s under OAEP")
            m3 = i.m3(s=hx(c["s"]), c=hx(c["c"]))
        else:
            m3 = i.m3(sig=h.split_fields(hx(c["ct3_plaintext"]), h.TRANSPORT_M3_FIELDS)[1])
        r.read_m3(m3, i.key.fp)
        eq(m1, c["M1"], "M1"), eq(m2, c["M2"], "M2"), eq(m3, c["M3"], "M3")
        return i, r

    def check_transport(self, part):
        for c in part["cases"]:
            i, r = self.play(c)
            eq(i.public, c["eI"], "eI"), eq(r.public, c["eR"], "eR"), eq(i.ek, c["ek"], "ek")
            for side in (i, r):
                for name in ("th0", "kct", "kss", "psk", "ee", "th1", "prk", "kR", "kI",
                             "ct2_plaintext", "th2", "ct3_plaintext", "th3", "prk2", "ckI", "ckR"):
                    eq(getattr(side, name), c[name], c["name"] + " " + name)
                if c["mode"] == "peer":
                    eq(side.s, c["s"], "s")
                    if side.cpace:
                        eq(side.ci, c["ci"], "ci"), eq(side.cpace.K, c["K"], "K")
                        eq(ristretto.encode(side.cpace.g), c["generator"], "generator")
                        eq(side.cpace.Y, c["YI" if side is i else "YR"], "Y")
            at = 32 + kem.KCT_BYTES + (32 if c["mode"] == "peer" else 0)
            eq(L_body(c["M2"], at), c["ct2"], "ct2"), eq(L_body(c["M3"], 0), c["ct3"], "ct3")
            self.signed(c, r, "R", i.th1 + r.key.id + hx(c["pkR"]))
            if c["mode"] == "peer":
                self.signed(c, i, "I", i.th2 + i.key.id + hx(c["c"]) + hx(c["pkI"]))
            self.handshakes[c["name"]] = i
        return len(part["cases"])

    def signed(self, c, side, letter, ed):
        """CERT and ED: what stands under them, with label and zero byte."""
        ctx = c[f"ed{letter}_label"]
        eq(ctx.encode() + b"\0" + ed, c[f"ed{letter}_message"], "message of ED")
        eq(side.session.sign(ctx, ed), c["ED" + letter], "ED")
        label, _, rest = hx(c[f"cert{letter}_message"]).partition(b"\0")
        eq(label.decode(), "hearth/2 relay session" if c["mode"] == "transport"
           else "hearth/2 member session", "label of CERT")
        eq(rest[-32:], c["pk" + letter], "pk in CERT")
        assert side.key.verify(label.decode(), rest, hx(c["CERT" + letter]))

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
            read = {"M1": r.read_m1, "M2": i.read_m2, "M3": r.read_m3}[c["message"]]
            refused(lambda: read(hx(c["hex"])), c["message"] + " " + c["reason"], h.HandshakeError)
        return len(part["cases"])

    def check_sessions(self, part):
        base = next(c for c in self.kat["peer"]["cases"] if c["name"] == part["handshake"])
        head = hx(base["M2"])[:32 + kem.KCT_BYTES + 32]

        def read(c):
            i, r = self.play(base, c["message"])
            if c["message"] == "M2":
                return lambda: i.read_m2(head + hx(c["hex"]), r.key.fp)
            return lambda: r.read_m3(hx(c["hex"]), i.key.fp)
        for c in part["rejected"]:
            refused(read(c), c["message"] + " " + c["reason"], h.HandshakeError)
        for c in part["accepted"]:
            read(c)()
        labels = {("transport", "R"): "hearth/2 responder", ("transport", "I"): "hearth/2 initiator",
                  ("peer", "R"): "hearth/2 peer responder", ("peer", "I"): "hearth/2 peer initiator"}
        for c in part["labels"]:
            eq(h.Handshake(c["mode"], None).label
               + {"R": "responder", "I": "initiator"}[c["role"]], c["ctx"], "label")
            eq(labels[c["mode"], c["role"]], c["ctx"], "label")
        return len(part["rejected"]) + len(part["accepted"]) + len(part["labels"])

    def check_points_rejected(self, part):
        key = self.keys["bob"]
        ek = kem.Key(bytes(64)).ek
        for c in part["cases"]:
            for top in (0, 0x80):
                point = bytearray(hx(c["hex"]))
                point[-1] |= top
                r = h.Responder("transport", key)
                refused(lambda: r.read_m1(h.MAGIC + bytes(point) + ek), c["note"], h.HandshakeError)
                i = h.Initiator("transport", key)
                i.m1()
                refused(lambda: i.read_m2(bytes(point) + bytes(kem.KCT_BYTES) + h.L(bytes(64))),
                        c["note"], h.HandshakeError)
        return len(part["cases"])

    # §4
    def check_padding(self, part):
        for size, want in part["sizes"]:
            eq(h.padded_bytes(size), want, f"padding of {size} bytes")
            eq(len(h.pad(bytes(size))), want, "pad")
            assert h.unpad(h.pad(b"x" * size)) == b"x" * size
        for c in part["cases"]:
            eq(h.pad(hx(c["message"])), c["plaintext"], "pad")
            eq(h.unpad(hx(c["plaintext"])), c["message"], "unpad")
        for c in part["rejected"]:
            refused(lambda: h.unpad(repeated(c)), c["reason"], h.ProtocolError)
        return len(part["sizes"]) + len(part["cases"]) + len(part["rejected"])

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
        eq(h.L(hx(several["ct"])), several["tcp"], "several")
        eq([[f"{k:02x}", b.hex()] for k, b in h.frames(hx(several["plaintext"]))],
           several["bodies"], "bodies")
        for c in part["lengths"]["cases"]:
            eq(h.MIN_RECORD_BYTES <= c["length"] <= h.MAX_RECORD_BYTES, c["accepted"], "length")
        return (len(part["keys"]) + len(part["around"]) + len(part["first"]) + 1
                + len(part["lengths"]["cases"]))

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
                                           hx(f["view"]), f["text"], hx(f["reply"])),
            "NICK": lambda f: h.build_nick(f["seq"], f["nick"]),
            "NOTE": lambda f: h.build_note(f["seq"], hx(f["ref"]), f["what"], f["text"]),
            "TOPIC": lambda f: h.build_topic(f["time"], f["text"]),
            "AWAY": lambda f: h.build_away(f["away"]),
            "ACK": lambda f: h.build_ack(f["n"]),
            "GAP": lambda f: h.build_gap(f["n"])}
        for c in part["valid"]:
            fields = h.parse_message(hx(c["hex"])).fields
            eq(json.loads(json.dumps(fields, default=bytes.hex)), c["fields"], c["type"])
            if c["type"] in rebuilt:
                eq(rebuilt[c["type"]](c["fields"]), c["hex"], c["type"])
        for c in part["edge"]:
            message = h.parse_message(repeated(c))
            if c["reason"].startswith(("TOPIC", "AWAY")):
                eq(message.fields, {}, c["reason"])
        for c in part["rejected"]:
            state = c.get("state")
            if state:
                m = h.parse_message(repeated(c))
                refused(lambda: h.check_state(m, state.startswith("after"), 0), c["reason"],
                        h.ProtocolError)
            else:
                refused(lambda: h.parse_message(repeated(c)), c["reason"], h.ProtocolError)
        return sum(len(part[x]) for x in ("valid", "edge", "rejected"))

    def entry_chain(self, entry):
        chain = h.Chain(hx(entry["ckI"]))
        for _ in range(entry["n"]):
            chain._advance()
        eq(chain.key, entry["key"], "key")
        return chain

    def check_cast(self, part):
        n, source = 0, hx(part["source"])
        for c in part["cases"]:
            k, content = hx(c["k"]), hx(c["content"])
            eq(h.pad(content), c["common_plaintext"], "common_plaintext")
            common = h.seal_common(k, content)
            eq(common, c["common"], "common"), eq(h.H(common), c["ad"], "ad")
            boxes = []
            for e, fields, want in zip(c["entries"], c["fields"], c["parts"]):
                eq(h.build_key(e["seq"], k), e["box_plaintext"], "box_plaintext")
                box = h.seal_box(self.entry_chain(e), common, e["seq"], k)
                eq(box, e["box"], "box")
                boxes.append((hx(e["sid"]), hx(e["tag"]), box))
                kind, body = next(h.frames(hx(want)))
                part_fields = h.parse_frame(kind, body, "client").fields
                eq(h.frame(h.PART, source + hx(e["tag"]) + box + common), want, "PART")
                message = h.open_part(self.entry_chain(e), part_fields["box"],
                                      part_fields["common"])
                eq(f"{message.kind:02x}", c["type"], "type")
                eq(json.loads(json.dumps(message.fields, default=bytes.hex)), fields, "fields")
                n += 1
            frame = h.frame(h.CAST, h.build_cast(boxes, common))
            eq([frame.hex()], c["frames"], "CAST")
            parsed = h.parse_frame(h.CAST, frame[3:], "relay").fields
            eq([b"".join(x).hex() for x in parsed["entries"]], [b"".join(x).hex() for x in boxes], "")
        many = part["many"]
        eq(many["common_bytes"], h.MAX_COMMON, "common_bytes")
        eq(many["counts"][0], h.cast_room(bytes(many["common_bytes"])), "counts")
        for count, size in zip(many["counts"], many["frame_bytes"]):
            eq(3 + 1 + 69 * count + many["common_bytes"], size, "frame_bytes")
        n += 1
        first = part["cases"][0]["entries"][0]
        for c in part["rejected"]:
            refused(lambda: h.open_part(self.entry_chain(first), hx(c["box"]), repeated(
                {"hex": c["common"], **({"repeat": c["repeat"]} if "repeat" in c else {})})),
                "PART: " + c["reason"], h.ProtocolError)
            n += 1
        for kind, base in (("CHAT", 58), ("NOTE", 10)):
            for text, size in part["sizes"][kind]:
                eq(len(h.seal_common(bytes(32), bytes(base + text))), size, f"common of {kind}")
                n += 1
        for size, entries in part["max_entries"]:
            eq(h.cast_room(bytes(size)), entries, "max_entries")
            n += 1
        return n

    def check_references(self, part):
        for c in part["cases"]:
            fp, ident = self.keys[c["sender"]].fp, hx(c["id"])
            eq(fp, c["fp"], "fp")
            eq(h.H(hx(c["message"])), c["hash"], "hash")
            eq(b"hearth/2 ref\0" + fp + ident, c["message"], "message")
            eq(h.reference(fp, ident), c["ref"], "ref")
        ref = part["cases"][part["used_case"]]["ref"]
        for c in part["used"]:
            fields = h.parse_message(hx(c["hex"])).fields
            eq(fields.get("ref", fields.get("reply")), ref, c["what"])
        return len(part["cases"]) + len(part["used"])

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
            eq(h.H(b"hearth/2 pw\0", hx(c["fp_s"])), c["salt"], "salt")
            kjoin, kroom = h.password_keys(c["password"], hx(c["fp_s"]))
            eq(kjoin + kroom, c["K"], "K")
            eq(kjoin, c["Kjoin"], "Kjoin"), eq(kroom, c["Kroom"], "Kroom")
            eq(h.join_text(kjoin), c["join_text"], "text")
            eq(h.join_key(c["join_text"]), c["Kjoin"], "text")
            given = kjoin, hx(c["fp_i"]), hx(c["fp_s"]), hx(c["th3"])
            a = h.Join(*given, True, scalar(c["ya"]))
            b = h.Join(*given, False, scalar(c["yb"]))
            eq(a.ci, c["ci"], "ci"), eq(a.Y, c["Ya"], "Ya"), eq(b.Y, c["Yb"], "Yb")
            a.take(b.Y), b.take(a.Y)
            for side in (a, b):
                for name in ("isk", "kp", "proof", "answer"):
                    eq(getattr(side, name), c[name], name)
        return len(part["cases"])

    def check_files(self, part):
        known = part["connection"]
        c = {name: hx(value) for name, value in known.items()}
        eq(h.x25519_public(c["eD_private"]), known["eD"], "eD")
        eq(h.x25519_public(c["eL_private"]), known["eL"], "eL")
        eq(h.x25519(c["eD_private"], c["eL"]), known["ee"], "ee")
        eq(files.file_keys(c["id"], c["secret"], c["ee"], c["eD"], c["eL"]),
           (c["hint"], c["ckD"], c["ckL"]), "keys")
        eq(files.MAGIC + c["hint"] + c["eD"], known["hello"], "hello")
        go = [(files.GO, 7), (files.DATA, b"hearth")]
        for side, frames in (("D", [(files.ALIVE, None)]), ("L", go)):
            plaintext = h.Chain(c["ck" + side]).open(c["record" + side][4:])
            eq(files.unpack(plaintext), frames, "record" + side)
        for m in part["messages"]:
            data = hx(m["hex"])
            files.parse(data[0], data[1:])
        for m in part["rejected"]:
            data = hx(m["hex"])
            refused(lambda: files.parse(data[0], data[1:]), m["what"], h.ProtocolError)
        return 1 + len(part["messages"]) + len(part["rejected"])

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


    # Wycheproof
    def wycheproof_mlkem_768(self, groups):
        n = 0
        for c in tests(groups):
            n += 1
            if c["result"] != "valid":
                assert len(hx(c["seed"])) != 64 or len(hx(c["c"])) != kem.KCT_BYTES, c
                continue
            for key in (kem.PlainKey(hx(c["seed"])), kem.Key(hx(c["seed"]))):
                eq(key.ek, c["ek"], "ek"), eq(key.decapsulate(hx(c["c"])), c["K"], "K")
        return n

    def wycheproof_mlkem_768_encaps(self, groups):
        n = 0
        for c in tests(groups):
            n += 1
            eq(kem.good_ek(hx(c["ek"])), c["result"] == "valid", "ek")
            if c["result"] == "valid":
                kct, kss = kem.encaps_internal(hx(c["ek"]), hx(c["m"]))
                eq(kct, c["c"], "c"), eq(kss, c["K"], "K")
        return n

    def wycheproof_ed25519(self, groups):
        n = 0
        from cryptography.exceptions import InvalidSignature
        for c in tests(groups):
            n += 1
            try:
                h.Ed25519PublicKey.from_public_bytes(hx(c["pk"])).verify(hx(c["sig"]), hx(c["msg"]))
                good = True
            except (InvalidSignature, ValueError):
                good = False
            eq(good, c["result"] == "valid", "Ed25519")
        return n

    def wycheproof_x25519(self, groups):
        n = 0
        for c in tests(groups):
            n += 1
            try:
                eq(h.x25519(hx(c["private"]), hx(c["public"])), c["shared"], "X25519")
            except h.HandshakeError:
                eq(c["shared"], bytes(32).hex(), "X25519: refused")
        return n


def tests(data):
    """The cases of a Wycheproof file, each with what its group has."""
    for group in data["groups"]:
        for case in group["tests"]:
            yield {**group, **case}


def L_body(message, at):
    """The body of the L(x) at byte `at`, as hex."""
    data = hx(message)[at:]
    assert struct.unpack_from(">H", data)[0] == len(data) - 2
    return data[2:].hex()


if __name__ == "__main__":
    for name, count in Kat(*sys.argv[1:2]).run().items():
        print(f"kat {name}: {count}")
