import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { DeweyError } from "../../src/errors.ts";
import { createLog } from "../../src/log.ts";
import { BackupRoutes } from "../../src/mcp/backup-routes.ts";
import type { Store } from "../../src/store/store.ts";
import { engines, testStore } from "../support/postgres.ts";
import { until } from "../support/rpc.ts";

const [engine] = engines;
if (!engine) throw new Error("there is no PostgreSQL");

let store: Store;
const logged: string[] = [];
const log = createLog({ level: "info", format: "text", write: (line) => void logged.push(line) });

/** The routes on a port of their own. */
function serve(idleLimitMs?: number, of: Store = store) {
  const routes = new BackupRoutes(of, log, idleLimitMs);
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request, bun) => routes.handle(request, bun) });
  const ask = async (path: string, body?: Uint8Array) => {
    const response = await fetch(new URL(path, server.url), { method: "POST", ...(body ? { body } : {}) });
    return { status: response.status, reply: (await response.json()) as Record<string, unknown> };
  };
  const begin = async (query = "?force=true") => String((await ask(`/recover${query}`)).reply["id"]);
  const part = (id: string, offset: number, bytes: Uint8Array) => ask(`/recover/part?id=${id}&offset=${offset}`, bytes);
  return {
    routes,
    url: server.url,
    ask,
    begin,
    part,
    finish: (id: string) => ask(`/recover/finish?id=${id}`),
    async [Symbol.asyncDispose]() {
      await routes.stop();
      await server.stop(true);
    },
  };
}

async function backup(url: URL): Promise<Uint8Array> {
  const response = await fetch(new URL("/backup", url), { method: "POST" });
  expect(response.headers.get("content-type")).toBe("application/zstd");
  return response.bytes();
}

async function counts(): Promise<number[]> {
  const { conversations, messages } = await store.stats.read({ days: 1, time_zone: "UTC" });
  return [conversations, messages];
}

beforeAll(async () => {
  store = await testStore(engine);
  await store.messages.storeBulk({
    messages: [{ role: "user", content: "kept" }],
    skip_known: false,
  });
});
afterAll(() => store.close());
beforeEach(() => void logged.splice(0));

describe("a recovery over HTTP", () => {
  test("takes an archive in parts and returns what it has recovered", async () => {
    await using served = serve();
    const archive = await backup(served.url);
    const id = await served.begin();
    expect(served.routes.size).toBe(1);
    const half = Math.floor(archive.length / 2);
    expect(await served.part(id, 0, archive.subarray(0, half))).toEqual({ status: 200, reply: { received: half } });
    expect(await served.part(id, half, archive.subarray(half))).toMatchObject({ reply: { received: archive.length } });
    const { status, reply } = await served.finish(id);
    expect([status, reply["tables"]]).toEqual([200, expect.arrayContaining([{ name: "messages", rows: 1 }])]);
    expect(await counts()).toEqual([1, 1]);
    expect([served.routes.size, (await served.finish(id)).status]).toEqual([0, 404]);
    expect(logged.join("")).toContain("recovered from a backup");
  });

  test("refuses a part at another offset, and goes on at the right one", async () => {
    await using served = serve();
    const archive = await backup(served.url);
    const id = await served.begin();
    expect((await served.part(id, 0, archive.subarray(0, 10))).status).toBe(200);
    const wrong = { status: 409, reply: { code: "conflict", error: "the next part should start at offset 10" } };
    for (const offset of [0, 9, 11]) expect(await served.part(id, offset, archive)).toEqual(wrong);
    expect((await served.part(id, 10, archive.subarray(10))).status).toBe(200);
    expect((await served.finish(id)).status).toBe(200);
  });

  test("refuses a part of more than 8 MiB", async () => {
    await using served = serve();
    const id = await served.begin();
    const { status, reply } = await served.part(id, 0, new Uint8Array(8 * 1024 * 1024 + 1));
    expect([status, reply["error"]]).toEqual([400, "a part should have at most 8388608 bytes"]);
  });

  test("refuses a second one at the same time, and an unknown id", async () => {
    await using served = serve();
    const id = await served.begin();
    expect((await served.ask("/recover")).reply).toEqual({
      code: "conflict",
      error: "another recovery is in progress; try again when it has ended",
    });
    for (const path of ["part?id=x&offset=0", "finish?id=x", "undo?id=x", "undo", `else?id=${id}`])
      expect((await served.ask(`/recover/${path}`)).status).toBe(404);
    expect(await served.ask(`/recover/undo?id=${id}`)).toEqual({ status: 200, reply: { undone: true } });
    expect((await served.finish(id)).status).toBe(404);
    expect(logged.join("")).toContain('a recovery was rolled back reason="its client cancelled it"');
    expect(await counts()).toEqual([1, 1]);
  });

  test("refuses a store that is not empty, without force", async () => {
    await using served = serve();
    const archive = await backup(served.url);
    for (const query of ["", "?force=yes"]) {
      const id = await served.begin(query);
      await served.part(id, 0, archive);
      const { status, reply } = await served.finish(id);
      expect([status, reply["error"]]).toEqual([409, expect.stringContaining("the store is not empty")]);
    }
    expect(await counts()).toEqual([1, 1]);
  });

  test("reports a damaged archive as soon as it is known, changes nothing and makes room for the next", async () => {
    await using served = serve();
    const id = await served.begin();
    const noise = crypto.getRandomValues(new Uint8Array(60_000));
    let failed = await served.part(id, 0, noise);
    if (failed.status === 200) failed = await served.finish(id);
    expect([failed.status, failed.reply["error"]]).toEqual([400, expect.stringContaining("backup")]);
    expect(logged.join("")).toContain('a recovery was rolled back reason="it failed"');
    expect(served.routes.size).toBe(0);
    expect(await counts()).toEqual([1, 1]);
    expect((await served.ask(`/recover/undo?id=${await served.begin()}`)).status).toBe(200);
  });

  test("that receives nothing for its limit is rolled back", async () => {
    await using served = serve(200);
    const id = await served.begin();
    await until("the end of the recovery", () => served.routes.size === 0);
    expect(await served.part(id, 0, new Uint8Array(1))).toMatchObject({
      status: 404,
      reply: { error: "there is no such recovery; recoveries that receive no data for a minute are rolled back" },
    });
    await until("the log", () => logged.join("").includes('reason="its client stopped sending"'));
  });

  test("that receives parts in time goes on beyond its limit", async () => {
    await using served = serve(2000);
    const archive = await backup(served.url);
    const id = await served.begin();
    const endMs = performance.now() + 2500;
    let offset = 0;
    for (; performance.now() < endMs && offset < archive.length; offset += 1) {
      expect((await served.part(id, offset, archive.subarray(offset, offset + 1))).status).toBe(200);
      await Bun.sleep(20);
    }
    expect((await served.part(id, offset, archive.subarray(offset))).status).toBe(200);
    expect((await served.finish(id)).status).toBe(200);
  });

  test("is rolled back when the server stops", async () => {
    await using served = serve();
    const id = await served.begin();
    await served.routes.stop();
    expect((await served.finish(id)).status).toBe(404);
    expect(logged.join("")).toContain('reason="the server is stopping"');
  });
});

describe("a backup over HTTP", () => {
  test("counts while it is read, whether it is read to its end or not", async () => {
    const endless = endlessStore();
    await using served = serve(undefined, endless.store);
    const stalled = await stall(served.url);
    expect(served.routes.size).toBe(1);
    stalled.terminate();
    await until("the end of the backup", () => served.routes.size === 0);
    await until("the end of its source", () => endless.ended() === 1);
    await using whole = serve();
    await backup(whole.url);
    await until("the end of the second", () => whole.routes.size === 0);
  });

  test("is one at a time, and is ended when its reader takes nothing, so that the next can begin", async () => {
    const endless = endlessStore();
    await using served = serve(300, endless.store);
    for (const count of [1, 2]) {
      const stalled = await stall(served.url);
      expect(await served.ask("/backup")).toEqual({
        status: 409,
        reply: { code: "conflict", error: "another backup is in progress; try again when it has ended" },
      });
      await until("the end of the stalled one", () => served.routes.size === 0);
      expect(endless.ended()).toBe(count);
      stalled.terminate();
    }
    expect(logged.join("")).toContain("its client took nothing for too long");
  });

  test("goes on as long as its reader takes something", async () => {
    await using served = serve(500, endlessStore().store);
    const response = await fetch(new URL("/backup", served.url), { method: "POST" });
    const untilMs = performance.now() + 1500;
    for await (const chunk of response.body ?? []) {
      expect(chunk.length).toBeGreaterThan(0);
      if (performance.now() > untilMs) break;
    }
    expect(logged).toEqual([]);
  });

  test("whose reader leaves, at any moment, causes no error line and makes room for the next", async () => {
    await using served = serve();
    for (const afterMs of [0, 1, 5, 20, 60]) {
      const reader = await stall(served.url, false);
      await Bun.sleep(afterMs);
      reader.terminate();
      await until("room for the next", () => served.routes.size === 0);
    }
    await backup(served.url);
    expect(logged.filter((line) => /error/i.test(line))).toEqual([]);
  });

  test("that the database does not answer makes room for the next", async () => {
    const server = { timeout() {}, requestIP: () => null } as unknown as Parameters<BackupRoutes["handle"]>[1];
    const away = { ...store, backup: () => Promise.reject(new DeweyError("unavailable", "away")) };
    const failing = new BackupRoutes(away, log);
    for (let count = 0; count < 2; count += 1) {
      const response = await failing.handle(new Request("http://localhost/backup", { method: "POST" }), server);
      expect([response.status, failing.size]).toEqual([503, 0]);
    }
  });
});

/** A store whose backup never ends, and how many of these were ended. */
function endlessStore() {
  let ended = 0;
  const backup = () =>
    Promise.resolve(
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(300_000)),
        cancel: () => void (ended += 1),
      }),
    );
  return { store: { ...store, backup }, ended: () => ended };
}

/** A client that asks for a backup and reads nothing of it; resolves once there is something to read, if it should. */
async function stall(url: URL, waits = true) {
  const begun = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: url.hostname,
    port: Number(url.port),
    socket: {
      open: (opened) => void opened.write("POST /backup HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"),
      data(opened) {
        opened.pause();
        begun.resolve();
      },
    },
  });
  if (waits) await begun.promise;
  return socket;
}
