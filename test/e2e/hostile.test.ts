import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { MAX_FRAME_BYTES } from "../../src/wire/frame.ts";
import { startServe } from "../support/binary.ts";
import { temporaryHome } from "../support/home.ts";
import type { Running } from "../support/binary.ts";
import { Rpc, until } from "../support/rpc.ts";

// Input from broken or hostile clients, sent to the compiled binary so that its memory can be measured.

const home = temporaryHome();
let server: Running;
let url = "";

beforeAll(async () => {
  ({ running: server, url } = await startServe(home.path));
});
afterAll(async () => {
  await server.stop();
  home[Symbol.dispose]();
});

async function works(): Promise<void> {
  const rpc = await Rpc.open(url);
  await rpc.initialize();
  expect(await rpc.tool("dewey_list_conversations")).toMatchObject({ offset: 0 });
  rpc.close();
}

async function residentBytes(): Promise<number> {
  const text = await Bun.file(`/proc/${server.process.pid}/status`).text();
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) * 1024;
}

/** A seeded pseudo-random generator (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe("the server survives", () => {
  test("a frame of 300 MB: it closes that connection and frees the memory", async () => {
    await works();
    const before = await residentBytes();
    const rpc = await Rpc.open(url);
    rpc.socket.send("x".repeat(300_000_000));
    const { code } = await rpc.closed;
    // 1009 is "message too big"; a client cut off while sending may see 1006 instead.
    expect([1009, 1006]).toContain(code);
    await works();
    await until("the memory back", async () => (await residentBytes()) < before + MAX_FRAME_BYTES / 2);
  });

  test("frames that are not JSON or not JSON-RPC: each gets an error and the connection stays open", async () => {
    const rpc = await Rpc.open(url);
    await rpc.initialize();
    const answers = async (frame: string) => {
      const before = rpc.received.length;
      rpc.socket.send(frame);
      await until("an answer", () => rpc.received.length > before);
      return JSON.parse(rpc.received.at(-1) ?? "") as unknown;
    };
    for (const frame of ["", "{", "hello", "\u0000", '{"jsonrpc":"2.0"', "[".repeat(100_000)]) {
      expect(await answers(frame)).toMatchObject({ id: null, error: { code: -32_700 } });
    }
    for (const frame of [
      "1",
      "null",
      "[]",
      "{}",
      '"text"',
      '{"id":1}',
      '{"jsonrpc":"1.0","id":null,"method":"x"}',
      '{"jsonrpc":"2.0","id":{},"method":"ping"}',
    ]) {
      expect(await answers(frame)).toMatchObject({ error: { code: -32_600 } });
    }
    expect(await answers('{"jsonrpc":"2.0","id":5,"method":"ping","params":7}')).toMatchObject({
      id: 5,
      error: { code: -32_600 },
    });
    await rpc.call("ping");
    rpc.close();
  });

  test("binary frames: they are refused", async () => {
    const rpc = await Rpc.open(url);
    rpc.socket.send(new Uint8Array([1, 2, 3]));
    expect((await rpc.closed).code).toBe(1003);
    await works();
  });

  test("ten thousand mutations of valid frames", async () => {
    const seed = Number(process.env["TEST_SEED"] ?? Date.now() % 1_000_000);
    const random = seeded(seed);
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
    const valid = [
      { id: 1, method: "tools/call", params: { name: "dewey_search", arguments: { query: "a b", limit: 5 } } },
      {
        id: 2,
        method: "tools/call",
        params: {
          name: "dewey_store_message",
          arguments: { conversation_id: crypto.randomUUID(), role: "user", content: "x" },
        },
      },
      {
        id: 3,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "m", version: "1" } },
      },
      { id: 4, method: "tools/list", params: {} },
      { id: 5, method: "dewey_list_conversations", params: { limit: 1 } },
      { method: "notifications/cancelled", params: { requestId: 1 } },
    ].map((message) => JSON.stringify({ jsonrpc: "2.0", ...message }));
    const mutate = (frame: string): string => {
      const at = Math.floor(random() * frame.length);
      return pick([
        () => frame.slice(0, at) + String.fromCharCode(Math.floor(random() * 0xd800)) + frame.slice(at + 1),
        () => frame.slice(0, at),
        () => frame.slice(0, at) + frame.slice(at + 1 + Math.floor(random() * 5)),
        () => frame.slice(0, at) + frame.slice(Math.floor(random() * frame.length)),
        () => frame.replace(/"[^"]*"/, () => pick(["null", "{}", "[]", "1e999", "true", '"\\u0000"'])),
        () => frame.replace(/:("[^"]*"|\d+)/, () => `:${pick(["null", "{}", "[[]]", "-1", '"\\ud800"'])}`),
      ])();
    };
    try {
      let rpc = await Rpc.open(url);
      for (let sent = 0; sent < 10_000; sent++) {
        if (rpc.socket.readyState !== WebSocket.OPEN) rpc = await Rpc.open(url);
        rpc.socket.send(mutate(pick(valid)));
        // Waits now and then until all are processed.
        if (sent % 500 === 499) await (await Rpc.open(url)).call("ping");
      }
      await works();
    } catch (error) {
      throw new Error(`with TEST_SEED=${seed}`, { cause: error });
    }
  });
});
