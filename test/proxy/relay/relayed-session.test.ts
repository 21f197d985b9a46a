import { afterEach, expect, test } from "bun:test";
import { createLog } from "../../../src/log.ts";
import { CallWatch } from "../../../src/proxy/relay/call-watch.ts";
import { RelayedSession } from "../../../src/proxy/relay/relayed-session.ts";
import { noTap } from "../../../src/proxy/relay/tap.ts";
import { UpstreamStates } from "../../../src/proxy/relay/upstream-states.ts";
import type { Upstream } from "../../../src/proxy/relay/upstreams.ts";
import type { LinkHandlers } from "../../../src/wire/link.ts";
import { echoCommand } from "../../support/echo-server.ts";
import { until } from "../../support/rpc.ts";

type Json = Record<string, unknown>;

/** An echo server as a child process, with its name in the environment. */
const child = (name: string): Upstream & { wire: "stdio" } => ({
  name: "tools",
  wire: "stdio",
  ...echoCommand,
  env: { PATH: process.env["PATH"] ?? "", NAME: name },
  cwd: undefined,
  record: "calls",
});

/** A session whose client the test plays, and whose upstream configuration it changes. */
function start(upstream: Upstream) {
  const received: Json[] = [];
  const log: string[] = [];
  const states = new UpstreamStates();
  let handlers: LinkHandlers | undefined;
  const entry = { upstream };
  const session = new RelayedSession({
    link: {
      wire: "websocket",
      open: (given) => (handlers = given),
      send: (frame) => {
        received.push(JSON.parse(frame) as Json);
        return true;
      },
      pause() {},
      resume() {},
      close() {},
    },
    upstream: () => entry.upstream,
    tap: noTap,
    watch: new CallWatch(() => {}),
    states,
    log: createLog({ level: "info", format: "json", write: (line) => log.push(line) }),
  });
  const over = session.run();
  const say = (message: Json) => handlers?.frame(JSON.stringify({ jsonrpc: "2.0", ...message }));
  let ids = 0;
  const call = async (name: string, args: Json): Promise<string> => {
    const id = (ids += 1);
    say({ id, method: "tools/call", params: { name, arguments: args } });
    const { result } = await until("an answer", () => received.find((message) => message["id"] === id));
    return JSON.stringify(result);
  };
  return { session, entry, states, log, call, leave: () => handlers?.closed("bye"), over };
}

let running: ReturnType<typeof start> | undefined;
afterEach(async () => {
  running?.leave();
  await running?.over;
});

const connections = ({ log }: { log: string[] }) =>
  log.filter((line) => line.includes("configuration changed; reconnecting")).length;

test("a session reconnects when its upstream's configuration changed, once no request is in flight", async () => {
  const relayed = (running = start(child("one")));
  // Not connected yet, so there is nothing to do.
  await relayed.session.refresh();
  expect(await relayed.call("env", { name: "NAME" })).toContain("one");
  expect(relayed.states.of("tools")).toMatchObject({ state: "up", last_error: null });
  relayed.entry.upstream = child("one");
  await relayed.session.refresh();
  expect(connections(relayed)).toBe(0);
  const slow = relayed.call("slow", { ms: 300 });
  relayed.entry.upstream = child("two");
  const refreshed = relayed.session.refresh();
  expect(connections(relayed)).toBe(0);
  expect(await slow).toContain("slept");
  await refreshed;
  expect(connections(relayed)).toBe(1);
  expect(await relayed.call("env", { name: "NAME" })).toContain("two");
});

test("a session does not reconnect if the configuration is changed back in the meantime", async () => {
  const relayed = (running = start(child("one")));
  await relayed.call("env", { name: "NAME" });
  const slow = relayed.call("slow", { ms: 200 });
  relayed.entry.upstream = child("two");
  const refreshed = [relayed.session.refresh(), relayed.session.refresh()];
  relayed.entry.upstream = child("one");
  await slow;
  await Promise.all(refreshed);
  expect(connections(relayed)).toBe(0);
});

test("a session reconnects once, however often the configuration was read in the meantime", async () => {
  const relayed = (running = start(child("one")));
  await relayed.call("env", { name: "NAME" });
  const slow = relayed.call("slow", { ms: 200 });
  relayed.entry.upstream = child("two");
  const refreshed = [relayed.session.refresh(), relayed.session.refresh()];
  await slow;
  await Promise.all(refreshed);
  expect(await relayed.call("env", { name: "NAME" })).toContain("two");
  expect(relayed.log.filter((line) => line.includes("a session has no upstream"))).toHaveLength(1);
});

test("a session without an upstream logs the reason and shows it in the states", async () => {
  const missing = { ...child("one"), command: "no-such-command" };
  const relayed = (running = start(missing));
  await until("the reason", () => relayed.states.of("tools").last_error ?? undefined);
  expect(relayed.states.of("tools")).toMatchObject({
    state: "down",
    last_error: expect.stringMatching(/tools is not available.*no-such-command/),
  });
  relayed.leave();
  await relayed.over;
  const events = relayed.log.map((line) => (JSON.parse(line) as Json)["event"]);
  expect(events).toEqual(["a session begins", "a session has no upstream", "a session has ended"]);
});
