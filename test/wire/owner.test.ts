import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { foreignServer, ownersIn, portOwner } from "../../src/wire/owner.ts";
import type { PortOwner } from "../../src/wire/owner.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/** A row of the kernel's table, as Linux writes it. */
function row({ local = "0100007F", port = 9020, state = "0A", uid = 1000, inode = 77 }): string {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const numbers = `00000000:00000000 00:00000000 00000000 ${`${uid}`.padStart(5)}        0 ${inode} 1 0000 100 0 0 10 0`;
  return `   0: ${local}:${hex} 00000000:0000 ${state} ${numbers}\n`;
}

const owners = (...rows: Parameters<typeof row>[0][]) => [...ownersIn(HEAD + rows.map(row).join(""), 9020)];

describe("the owners of a port in the kernel's table", () => {
  test("are those who listen on loopback or on every address, in both versions of IP", () => {
    const addresses = [
      "0100007F",
      "0200007F",
      "00000000",
      "00000000000000000000000000000000",
      "00000000000000000000000001000000",
      "0000000000000000FFFF00000100007F",
    ];
    for (const local of addresses) expect([local, owners({ local })]).toEqual([local, [1000]]);
    expect(owners({ uid: 1 }, { local: "00000000", uid: 2 })).toEqual([1, 2]);
  });

  test("are not those of other ports and of addresses that loopback does not reach", () => {
    expect(owners({ port: 9021 }, { local: "0A00A8C0" }, { local: "B80D0120000000000000000001000000" })).toEqual([]);
  });

  test("count an accepted connection, and none that is waiting or closing", () => {
    expect(owners({ state: "01", uid: 5 })).toEqual([5]);
    expect(owners({ state: "01", uid: 0, inode: 0 }, { state: "06", uid: 0, inode: 0 }, { state: "08" })).toEqual([]);
  });
});

describe.skipIf(!existsSync("/proc/net/tcp"))("the owner of a port, on a system that tells", () => {
  test("is this user for a server of ours, another for somebody else, and unseen where nothing listens", () => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const port = server.port ?? 0;
    const uid = process.getuid?.() ?? 0;
    expect(portOwner(port)).toEqual({ kind: "own" });
    expect(portOwner(port, uid + 1)).toEqual({ kind: "other", uid });
    void server.stop(true);
    expect(portOwner(port)).toEqual({ kind: "unseen" });
  });
});

describe("a server is foreign", () => {
  const other = (): PortOwner => ({ kind: "other", uid: 1001 });
  const url = "ws://localhost:9020";

  test("when another user's process listens, or none that can be seen, with the remedy", () => {
    expect(foreignServer({ url, token: undefined }, other)).toEqual({
      complaint: "the server at ws://localhost:9020/ belongs to another user of this machine (uid 1001)",
      remedy: expect.stringContaining("DEWEY_TOKEN"),
    });
    expect(foreignServer({ url, token: undefined }, () => ({ kind: "unseen" }))?.complaint).toContain("container");
  });

  test("by whatever name this machine is called", () => {
    for (const host of [
      "127.0.0.1",
      "127.1",
      "LOCALHOST",
      "localhost.",
      "a.localhost",
      "[::1]",
      "0.0.0.0",
      "[::ffff:127.0.0.1]",
      "[::]",
    ])
      expect([host, foreignServer({ url: `ws://${host}:9020/`, token: undefined }, other) !== undefined]).toEqual([
        host,
        true,
      ]);
  });

  test("not with a token, at another machine, when it is ours, or where the system does not tell", () => {
    expect(foreignServer({ url, token: "t" }, other)).toBeUndefined();
    expect(foreignServer({ url: "wss://dewey.example:9020", token: undefined }, other)).toBeUndefined();
    for (const kind of ["own", "unknown"] as const)
      expect(foreignServer({ url, token: undefined }, () => ({ kind }))).toBeUndefined();
  });

  test("at the port that the address leaves out", () => {
    const asked: number[] = [];
    const note = (port: number): PortOwner => {
      asked.push(port);
      return { kind: "own" };
    };
    for (const each of ["ws://localhost", "wss://localhost", "ws://localhost:9020"])
      foreignServer({ url: each, token: undefined }, note);
    expect(asked).toEqual([80, 443, 9020]);
  });
});
