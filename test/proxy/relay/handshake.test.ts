import { describe, expect, test } from "bun:test";
import { Handshake } from "../../../src/proxy/relay/handshake.ts";
import { viewFrame } from "../../../src/wire/frame.ts";
import type { FrameView } from "../../../src/wire/frame.ts";

type Json = Record<string, unknown>;

const view = (message: Json): FrameView => viewFrame(JSON.stringify({ jsonrpc: "2.0", ...message }));

function parsed(frames: string[]): Json[] {
  const messages = frames.map((frame) => JSON.parse(frame) as Json);
  for (const message of messages) expect(message["jsonrpc"]).toBe("2.0");
  return messages;
}

const params = { protocolVersion: "2025-11-25", clientInfo: { name: "clio", version: "1" } };
const initialize = view({ id: 0, method: "initialize", params });
const answer = (capabilities: unknown) => view({ id: 0, result: { capabilities } });

/** A client that has completed the handshake with a server of these capabilities. */
function initialized(capabilities: unknown = {}): Handshake {
  const handshake = new Handshake();
  handshake.sent(initialize);
  handshake.received(answer(capabilities));
  handshake.sent(view({ method: "notifications/initialized" }));
  return handshake;
}

describe("the replay", () => {
  test("begins with initialize as the client sent it, under an id of Dewey's", () => {
    const { id, frame } = initialized().initializeAgain() ?? { id: "", frame: "" };
    expect(JSON.parse(frame)).toEqual({ jsonrpc: "2.0", id: "dewey-replay-1", method: "initialize", params });
    expect(id).toBe("dewey-replay-1");
  });

  test("is empty until a server has answered initialize, and if it refused", () => {
    const handshake = new Handshake();
    expect(handshake.initializeAgain()).toBeUndefined();
    handshake.sent(initialize);
    expect([handshake.isPending, handshake.initializeAgain()]).toEqual([true, undefined]);
    handshake.received(view({ id: 0, error: { code: -32_602, message: "no" } }));
    expect([handshake.isPending, handshake.initializeAgain()]).toEqual([false, undefined]);
  });

  test("is empty after a second initialize that was refused", () => {
    const handshake = initialized();
    handshake.sent(view({ id: 5, method: "initialize", params: {} }));
    handshake.received(view({ id: 5, error: { code: -32_602, message: "no" } }));
    expect(handshake.initializeAgain()).toBeUndefined();
  });

  test("is unaffected by any other response", () => {
    const handshake = new Handshake();
    handshake.sent(initialize);
    handshake.received(view({ id: "0", result: {} }));
    handshake.received(view({ method: "notifications/message" }));
    expect(handshake.isPending).toBe(true);
    handshake.received(answer({}));
    expect(handshake.isPending).toBe(false);
    // The id may be reused for another request.
    handshake.received(view({ id: 0, error: { code: 1, message: "no" } }));
    expect(handshake.initializeAgain()).toBeDefined();
  });

  test("is empty when Dewey answered initialize with an error", () => {
    const handshake = new Handshake();
    handshake.sent(initialize);
    handshake.forget();
    expect(handshake.isPending).toBe(false);
    handshake.received(answer({}));
    expect(handshake.initializeAgain()).toBeUndefined();
  });

  test("remains when the upstream of an initialized client is lost", () => {
    const handshake = initialized();
    handshake.forget();
    expect(handshake.initializeAgain()).toBeDefined();
  });

  test("continues with the latest log level and subscriptions", () => {
    const handshake = initialized();
    for (const level of ["info", "error"])
      handshake.sent(view({ id: 1, method: "logging/setLevel", params: { level } }));
    for (const uri of ["a://1", "a://2", "a://3"])
      handshake.sent(view({ id: 2, method: "resources/subscribe", params: { uri } }));
    handshake.sent(view({ id: 3, method: "resources/unsubscribe", params: { uri: "a://2" } }));
    expect(parsed(handshake.restAgain())).toEqual([
      { jsonrpc: "2.0", method: "notifications/initialized" },
      { jsonrpc: "2.0", id: "dewey-replay-1", method: "logging/setLevel", params: { level: "error" } },
      { jsonrpc: "2.0", id: "dewey-replay-2", method: "resources/subscribe", params: { uri: "a://1" } },
      { jsonrpc: "2.0", id: "dewey-replay-3", method: "resources/subscribe", params: { uri: "a://3" } },
    ]);
  });

  test("leaves out messages that the client never sent", () => {
    const handshake = new Handshake();
    handshake.sent(initialize);
    handshake.received(answer({}));
    handshake.sent(view({ method: "notifications/cancelled" }));
    handshake.sent(view({ method: "logging/setLevel", params: { level: "error" } }));
    handshake.sent(view({ id: 4, method: "notifications/initialized" }));
    expect(handshake.restAgain()).toEqual([]);
  });

  test("leaves out requests nested too deeply to be written again", () => {
    const handshake = new Handshake();
    const nested = (levels: number) => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`) as unknown;
    handshake.sent(view({ id: 0, method: "initialize", params: { ...params, deep: nested(998) } }));
    handshake.received(answer({}));
    expect(handshake.initializeAgain()).toBeDefined();
    handshake.sent(view({ id: 0, method: "initialize", params: { ...params, deep: nested(999) } }));
    handshake.sent(view({ id: 1, method: "logging/setLevel", params: { level: nested(20_000) } }));
    expect([handshake.initializeAgain(), handshake.restAgain()]).toEqual([undefined, []]);
  });

  test("includes a notification that reached no server, and no such request", () => {
    const handshake = initialized();
    handshake.unsent(view({ id: 1, method: "logging/setLevel", params: { level: "error" } }));
    expect(handshake.restAgain()).toHaveLength(1);
    const late = new Handshake();
    late.unsent(view({ method: "notifications/initialized" }));
    expect(late.restAgain()).toHaveLength(1);
  });
});

test("the answer to a request of Dewey's is recognised exactly once", () => {
  const handshake = initialized();
  const { id } = handshake.initializeAgain() ?? {};
  expect(handshake.isReplay(view({ id: "dewey-replay-2", result: {} }))).toBe(false);
  expect(handshake.isReplay(view({ id, method: "ping" }))).toBe(false);
  expect(handshake.isReplay(view({ id, result: {} }))).toBe(true);
  expect(handshake.isReplay(view({ id, result: {} }))).toBe(false);
});

test("list changes are announced for the capabilities with listChanged", () => {
  const changes = (capabilities: unknown) =>
    parsed(initialized(capabilities).listChanges()).map(({ method }) => method);
  expect(
    changes({ tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true } }),
  ).toEqual([
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
  ]);
  expect(changes({ tools: { listChanged: false }, prompts: {}, logging: { listChanged: true } })).toEqual([]);
  expect(changes("none")).toEqual([]);
});

test("parameters of any form are noted, and only a subscription to a text is replayed", () => {
  const handshake = initialized();
  const unreadable = JSON.parse('{"toString":1,"valueOf":1}') as Json;
  const deep = `${"[".repeat(30_000)}${"]".repeat(30_000)}`;
  handshake.sent(view({ id: 1, method: "tools/call", params: { uri: unreadable } }));
  handshake.sent(viewFrame(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"uri":${deep}}}`));
  handshake.sent(view({ id: 3, method: "resources/subscribe", params: { uri: unreadable } }));
  handshake.sent(view({ id: 4, method: "resources/subscribe", params: { uri: "file:///a" } }));
  const replayed = parsed(handshake.restAgain());
  expect(replayed.map(({ method, params }) => [method, params])).toEqual([
    ["notifications/initialized", undefined],
    ["resources/subscribe", { uri: "file:///a" }],
  ]);
});
