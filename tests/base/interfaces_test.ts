import assert from "node:assert/strict";
import {
  interfaceOf,
  isNear,
  type NetworkInterface,
  reachableAddresses,
} from "../../lib/base/interfaces.ts";

Deno.test("interfaceOf() finds the interface of an IPv4 address", () => {
  const link = (name: string, address: string, bits: number): NetworkInterface => ({
    name,
    index: 1,
    isLoopback: false,
    addresses: [{ family: "IPv4", address, cidr: `${address}/${bits}` }],
  });
  const links = [link("a", "192.168.1.20", 24), link("b", "10.0.0.1", 8), link("c", "4.4.4.4", 32)];
  for (
    const [address, name] of [
      ["192.168.1.255", "a"],
      ["192.168.2.1", undefined],
      ["10.255.255.255", "b"],
      ["11.0.0.0", undefined],
      ["4.4.4.4", "c"],
      ["4.4.4.5", undefined],
    ]
  ) assert.equal(interfaceOf(address!, links)?.name, name, address);
});

Deno.test("reachableAddresses() puts the real network first, and what leads nowhere last", () => {
  const list = (host: string | undefined, ...rows: string[]) =>
    reachableAddresses(
      host,
      rows.map((row, i) => {
        const [name = "", address = ""] = row.split(" ");
        const isV6 = address.includes(":");
        return { name, address, family: isV6 ? "IPv6" : "IPv4", scopeid: isV6 ? i : null };
      }),
    );
  const zone = Deno.build.os === "windows" ? 2 : "eth0";
  const lo = ["lo 127.0.0.1", "lo ::1"];
  const docker = ["docker0 172.17.0.1", "docker0 fe80::d"];
  // A cable without a router: only link-local addresses, and a bridge that is down.
  assert.deepEqual(list(undefined, ...docker, "eth0 fe80::1"), [`fe80::1%${zone}`, "172.17.0.1"]);
  assert.deepEqual(
    list(undefined, ...docker, "eth0 169.254.7.7", "eth0 fe80::1"),
    ["169.254.7.7", "172.17.0.1"],
  );
  assert.deepEqual(
    list(
      undefined,
      ...lo,
      ...docker,
      "wg0 10.8.0.1",
      "eth0 fd00::2",
      "eth0 fe80::2",
      "eth0 10.0.0.2",
    ),
    ["10.0.0.2", "fd00::2", "172.17.0.1", "10.8.0.1"],
  );
  assert.deepEqual(list("0.0.0.0", "eth0 fd00::2", "eth0 fe80::2", "eth0 10.0.0.2"), ["10.0.0.2"]);
  assert.deepEqual(list(undefined, ...lo), ["localhost"]);
  assert.deepEqual(list("127.0.0.1", "eth0 10.0.0.2"), ["127.0.0.1"]);
});

Deno.test("isNear() knows link-local addresses and those in a network of an interface", () => {
  const rows = [
    { family: "IPv4", cidr: "10.0.0.1/8" },
    { family: "IPv6", cidr: "2001:db8:1:2::5/64" },
    { family: "IPv6", cidr: "fd00:1::1/60" },
    { family: "IPv6", cidr: "fd00:2::7/128" },
  ] as const;
  const near = [
    ...["fe80::9", "fe80::9%eth0", "2001:db8:1:2:aaaa::1", "2001:db8:1:2::5"],
    ...["fd00:1::9", "fd00:1:0:f::9", "fd00:2::7"],
  ];
  const far = ["2001:db8:1:3::5", "fd00:1:0:10::9", "fd00:2::8", "::a00:1"];
  assert.deepEqual([...near, ...far].filter((address) => isNear(address, rows)), near);
});
