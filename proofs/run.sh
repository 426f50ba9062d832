#!/bin/bash
# Runs the models and mutants, prints every result, and exits with 1 if one differs from what is expected.
# Usage: run.sh [NAME...]
# Environment: PROVERIF (path of ProVerif 2.05), JOBS (how many at once, 2), LIMIT (seconds for each, 1200).
PROVERIF=$(command -v "${PROVERIF:-proverif}") || { echo "run.sh: ProVerif not found; set PROVERIF to its path" >&2; exit 1; }
PROVERIF=$(realpath "$PROVERIF")
cd "$(dirname "$0")" || exit 1
JOBS=${JOBS:-2} LIMIT=${LIMIT:-1200}
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
names=" $* "; started=

# t NAME FILE.pv "LIBRARIES" EXPECTED [FILE SED]...
# EXPECTED has one letter for each query in order: T true, F false, N cannot be proved. Each FILE SED changes one file of
# the model first, which makes a mutant.
t() {
  local name=$1 file=$2 libs=$3 want=$4; shift 4
  [[ $names != "  " && $names != *" $name "* ]] && return
  while (( $(jobs -rp | wc -l) >= JOBS )); do wait -n; done
  started="$started $name"
  ( d=$tmp/$name.d; mkdir "$d"; cp ./*.pvl ./*.pv "$d"; cd "$d" || exit
    while [ $# -gt 0 ]; do sed -i.old "$2" "$1"; cmp -s "$1" "$1.old" && echo "$name: sed changes nothing in $1" >> "$tmp/bad"; shift 2; done
    args=(); for l in $libs; do args+=(-lib "$l.pvl"); done
    s=$(date +%s%N); timeout "$LIMIT" "$PROVERIF" "${args[@]}" "$file" > out 2>&1; e=$(( ($(date +%s%N) - s) / 100000000 ))
    got=$(grep '^RESULT' out | grep -v '^RESULT (' | sed -E 's/.* is true\.$/T/; s/.* is false\.$/F/; s/.* cannot be proved\.$/N/' | tr -d '\n')
    { echo "== $name: $file with $libs, $((e / 10)).$((e % 10)) s, expected $want, got $got"; grep '^RESULT' out; } > "$tmp/$name.txt"
    [ "$got" = "$want" ] || echo "$name: expected $want, got $got" >> "$tmp/bad" ) &
}

open="common x25519_out mlkem_out nopassword"

# What holds.
t peer_x25519      peer.pv    "common x25519 mlkem_out nopassword peer" TTTF
t peer_mlkem       peer.pv    "common x25519_out mlkem nopassword peer" TTTF
t peer_oaep        oaep.pv    "$open peer" TTTF
t auth             auth.pv    "$open transport peer" TTTTTFF
t transport_x25519 transport.pv "common x25519 mlkem_out transport" TTTTF
t transport_mlkem  transport.pv "common x25519_out mlkem transport" TTTTF
t guess            guess.pv   "common x25519_out mlkem_out cpace password peer join" T
t ghost            ghost.pv   "common cpace password" TTTTF
t join             join.pv    "common cpace join" TTF
t join_first       join_first.pv "common cpace x25519" TTF
t cast             cast.pv    "common cast" TTFF
t cast_secret      cast_secret.pv "common cast" T

# What a stolen session key gives: the same queries without the exception for it.
t stolen_session   auth.pv    "$open transport peer" FTFFTFF auth.pv 's/ || event(StolenS([^)]*)))//'
t stolen_hello     peer.pv    "common x25519_out mlkem nopassword peer" FTFF peer.pv 's/ || event(StolenS([^)]*)))//'

# Nothing above holds only because the events never happen: secrecy queries without "and the attacker knows it", and
# authentication queries without the honest cause, are all false, even when no key of the other side is stolen.
said='s/ && attacker(m) phase 1//; s/inj-event(Rconf([^)]*)) || //'
t reach_x25519     peer.pv    "common x25519 mlkem_out nopassword peer" FFFF peer.pv "$said"
t reach_mlkem      peer.pv    "common x25519_out mlkem nopassword peer" FFFF peer.pv "$said"
t reach_oaep       oaep.pv    "$open peer" FFFF oaep.pv "$said"
t reach_transport  transport.pv "common x25519_out mlkem transport" FFFFF transport.pv "$said"
t reach_auth       auth.pv    "$open transport peer" FFFFFFF auth.pv 's/==> inj-event([A-Z][a-z]*([^()]*\(([^()]*)[^()]*\)*)) || /==> /'

# Mutants: each takes one thing out of the protocol and shows what it is needed for.
members='/transport/d; /inj-event(Iconf/d; s/! TI(k) | ! Relay(k) | //; /Stolen(id/d'     # auth.pv without the transport and without stolen RSA keys
t cert_sid         auth.pv    "$open peer" FFF auth.pv "$members" peer.pvl 's/checksig(\(cert.*\)fpS, rm, sid[IR], pk/checksig(\1fpS, rm, pk/; s/let cert = sig(k, says)/let cert = sig(k, (memberS, fpS, rm, ed(sk)))/'
t cert_room        auth.pv    "$open peer" FFF auth.pv "$members" peer.pvl 's/checksig(\(cert.*\)fpS, rm, sid/checksig(\1fpS, sid/; s/let cert = sig(k, says)/let cert = sig(k, (memberS, fpS, sid, ed(sk)))/'
t cert_relay       auth.pv    "$open peer" FFF auth.pv "$members" peer.pvl 's/checksig(\(cert.*\)fpS, rm, sid/checksig(\1rm, sid/; s/let cert = sig(k, says)/let cert = sig(k, (memberS, rm, sid, ed(sk)))/'
# A CERT that has verified once for a sid is accepted again with another pk; no key is stolen.
t cert_cached      auth.pv    "$open peer" FFF auth.pv "$members; /StolenS(b, says)/d" peer.pvl 's/if checksig(\(cert.\), \(ID_.\)) = (memberS, fpS, rm, \(sid.\), pk.) then/let (=memberS, =fpS, =rm, =\3, any: bitstring) = checksig(\1, \2) in/'
t m3_without_c     auth.pv    "$open peer" TFF auth.pv "$members" peer.pvl 's/(peerInitiator, th2, ID_I, cs, pkI)/(peerInitiator, th2, ID_I, pkI)/'
noOAEP='s/new s: bitstring; new r: bitstring; let cs = oaep(ID_R, kem, s, r) in/in(c, cs: bitstring); let s = nil in/; s/let s: bitstring = unoaep(cs, kR, kem) in/let s = nil in/'
t no_oaep          oaep.pv    "$open peer" FFFF peer.pvl "$noOAEP"
t no_kem           transport.pv "common x25519_out mlkem_out transport" FFFFF
t no_psk           ghost.pv   "common cpace password" FFFFF password.pvl 's/= isk(.*/= zeros./'
t psk_kroom        guess.pv   "common x25519_out mlkem_out cpace password peer join" F peer.pvl 's/psk(eI, Y[IR], [ab], YI, YR)/Kroom(pw, fpS)/'
t kp_kjoin         guess.pv   "common x25519_out mlkem_out cpace password peer join" F join.pvl 's/isk(sid, mul(Y[ab], [ab]), Ya, Yb)/Kjoin(pw, fpS)/'
t join_sid         join.pv    "common cpace join" FFF join.pvl 's/let sid = th3 in/let sid = nil in/'
t first_sid        join_first.pv "common cpace x25519" FFF join_first.pv 's/, th3), \([ab]\))/, nil), \1)/; s/Ext(th3, isk(th3/Ext(nil, isk(nil/'
t cast_no_ad       cast.pv    "common cast" FTFF cast.pvl 's/\(n[BC]*\), H(common)/\1, nil/g'
t cast_ad_tag      cast.pv    "common cast" FTFF cast.pvl 's/H(common)/tag(common)/g'
t cast_k_known     cast_secret.pv "common cast" NN cast_secret.pv 's/, false)/, true)/'

# A change that breaks nothing: ED need not cover pk, even if a second key could be made to fit a signature.
fit='s/^reduc forall k: edkey, m: bitstring; checked.*/fun fit(bitstring): bitstring. reduc forall k: edkey, m: bitstring; checked(edsig(k, m), ed(k)) = m; forall k: edkey, m: bitstring; checked(edsig(k, m), fit(edsig(k, m))) = m./'
t ed_without_pk    auth.pv    "$open transport peer" TTTTTFF peer.pvl 's/cs, pkI)/cs)/; s/th1, ID_R, pkR)/th1, ID_R)/' transport.pvl 's/th1, ID_R, pkR)/th1, ID_R)/' common.pvl "$fit"

wait
for n in $started; do cat "$tmp/$n.txt"; done
for n in $names; do [[ " $started " == *" $n "* ]] || echo "$n: no such name" >> "$tmp/bad"; done
if [ -s "$tmp/bad" ]; then echo "DIFFERENT:"; cat "$tmp/bad"; exit 1; fi
echo "all as expected"
