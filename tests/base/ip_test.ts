import { deepEqual, equal } from "node:assert/strict";
import {
  canonicalAddress,
  isLinkLocal,
  isLoopback,
  isUnicast,
  joinPort,
  networkOf,
} from "../../lib/base/ip.ts";

Deno.test("canonicalAddress() writes IPv4 in IPv6 as IPv4, and all else in lower case", () => {
  equal(canonicalAddress("::FFFF:192.0.2.1"), "192.0.2.1");
  equal(canonicalAddress("2001:DB8::1"), "2001:db8::1");
  equal(canonicalAddress("::ffff:c000:201"), "::ffff:c000:201");
});

Deno.test("isLoopback() and isLinkLocal() know their addresses and no name that looks like one", () => {
  const loopback = ["127.0.0.1", "127.255.0.9", "127.1", "::1"];
  const linkLocal = ["fe80::1", "FE80::1%eth0", "febf:1::2"];
  const others = ["128.0.0.1", "::11", "127.example", "fe80", "fec0::1", "fe8::1", "localhost"];
  const all = [...loopback, ...linkLocal, ...others];
  deepEqual(all.filter(isLoopback), loopback);
  deepEqual(all.filter(isLinkLocal), linkLocal);
});

Deno.test("isUnicast() is false for groups, broadcasts and what stands for every address", () => {
  const one = ["192.0.2.1", "10.0.0.255", "127.0.0.1", "2001:db8::1", "fe80::1", "::1"];
  const many = ["0.0.0.0", "0.1.2.3", "224.0.0.251", "255.255.255.255", "::", "ff02::fb"];
  deepEqual([...one, ...many].filter(isUnicast), one);
});

Deno.test("networkOf() is the same for all addresses of a /64, and an IPv4 address itself", () => {
  const same = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2:3:4:5:6"];
  equal(new Set(same.map(networkOf)).size, 1);
  const different = [
    ...["192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8::1:2"],
    ...["::1", "fe80::1", "fe80::1%eth0", "fe80::1%eth1"],
  ];
  equal(new Set(different.map(networkOf)).size, different.length);
  equal(networkOf("192.0.2.1"), "192.0.2.1");
});

Deno.test("joinPort() puts IPv6 addresses in brackets", () => {
  equal(joinPort("192.0.2.1", 80), "192.0.2.1:80");
  equal(joinPort("2001:db8::1", 80), "[2001:db8::1]:80");
});
