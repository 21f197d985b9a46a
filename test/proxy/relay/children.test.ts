import { describe, expect, test } from "bun:test";
import { Children } from "../../../src/proxy/relay/children.ts";
import type { ChildOwner } from "../../../src/proxy/relay/children.ts";
import type { Upstream } from "../../../src/proxy/relay/upstreams.ts";
import { failure } from "../../support/failure.ts";
import { isRunning } from "../../support/processes.ts";
import { clientWires, relayedClient } from "../../support/relayed-client.ts";
import { until } from "../../support/rpc.ts";

function owner(upstreamName: string, usedMs: number, isBusy = false) {
  const each: ChildOwner & { rested: number } = {
    upstreamName,
    usedMs,
    isBusy,
    rested: 0,
    rest: () => (each.rested += 1),
  };
  return each;
}

describe("commands that run at once", () => {
  test("are limited for each upstream; the one that was idle for longest rests", () => {
    const children = new Children({ perUpstream: 2, all: 100 });
    const [busy, old, young, other] = [owner("a", 1, true), owner("a", 2), owner("a", 3), owner("b", 0)];
    for (const each of [other, busy, old, young]) children.admit(each);
    expect([other, busy, old, young].map(({ rested }) => rested)).toEqual([0, 0, 1, 0]);
    // One that starts again does not count twice.
    children.admit(young);
    expect([busy.rested, young.rested]).toEqual([0, 0]);
    children.release(young);
    children.admit(old);
    expect([busy.rested, young.rested, old.rested]).toEqual([0, 0, 1]);
  });

  test("are limited in all, over the upstreams", () => {
    const children = new Children({ perUpstream: 100, all: 3 });
    const owners = [owner("a", 5), owner("b", 2), owner("c", 4), owner("d", 6), owner("e", 7)];
    for (const each of owners) children.admit(each);
    expect(owners.map(({ rested }) => rested)).toEqual([0, 1, 1, 0, 0]);
  });

  test("that are all in use are kept, and another is refused", async () => {
    const children = new Children({ perUpstream: 1, all: 100 });
    const busy = owner("tools", 1, true);
    children.admit(busy);
    const { code, message } = await failure(Promise.try(() => children.admit(owner("tools", 2))));
    expect([code, message]).toEqual(["unavailable", expect.stringMatching(/^1 commands of tools run already/)]);
    busy.isBusy = false;
    children.admit(owner("tools", 3));
    expect(busy.rested).toBe(1);
  });
});

/** A server that answers each request with its process id. */
const script = `while read -r line; do id=$(printf '%s' "$line" | sed -n 's/.*"id":\\("[^"]*"\\|[0-9]*\\).*/\\1/p'); [ -n "$id" ] && printf '{"jsonrpc":"2.0","id":%s,"result":{"pid":%s,"capabilities":{}}}\\n' "$id" $$; done`;
const upstream: Upstream = {
  name: "tools",
  wire: "stdio",
  command: "sh",
  args: ["-c", script],
  env: { PATH: process.env["PATH"] ?? "" },
  cwd: undefined,
  record: "all",
};

for (const wire of clientWires) {
  test(`a client over ${wire} keeps its session while its command rests, and gets another when it needs one`, async () => {
    const children = new Children({ perUpstream: 1, all: 1 });
    await using first = await relayedClient(wire, upstream, children);
    await first.initialize();
    const pidOf = async (client: typeof first, id: number) => {
      const { result } = await client.ask({ id, method: "ping" });
      return (result as { pid: number }).pid;
    };
    const before = await pidOf(first, 1);
    await using second = await relayedClient(wire, upstream, children);
    await second.initialize();
    const other = await pidOf(second, 1);
    await until("the end of the first command", () => !isRunning(before));
    expect(first.states.of("tools").state).toBe("up");
    const after = await pidOf(first, 2);
    expect([after === before, after === other]).toEqual([false, false]);
    await until("the end of the second command", () => !isRunning(other));
  });
}
