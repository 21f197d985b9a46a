import { describe, expect, test } from "bun:test";
import { dialSse } from "../../src/wire/sse-link.ts";
import { failure } from "../support/failure.ts";
import { listen } from "../support/links.ts";
import { freePort } from "../support/ports.ts";
import { quiet } from "../support/quiet.ts";
import { until } from "../support/rpc.ts";
import { startSseServer } from "../support/sse-server.ts";

const ask = (id: number, method = "ping") => `{ "jsonrpc":"2.0","id":${id},"method":"${method}","x":1.0}`;
const note = (method: string) => `{"jsonrpc":"2.0","method":"${method}"}`;

async function dial(url: string) {
  const link = await dialSse({ url, headers: { authorization: "Bearer x" }, log: quiet });
  return { link, heard: listen(link) };
}

describe("a link to a server over the older HTTP+SSE", () => {
  test("passes frames unchanged both ways, in order, with the configured headers", async () => {
    await using server = startSseServer();
    const { link, heard } = await dial(server.url);
    const sent = Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? ask(index) : note(`n${index}`)));
    for (const frame of sent) link.send(frame);
    await heard.count(25);
    await until("all frames", () => server.sessions[0]?.frames.length === 50);
    expect(server.sessions[0]?.frames).toEqual(sent);
    const big = `{"jsonrpc":"2.0","id":9007199254740993,"method":"m","params":{"n":1.0,"t":"${"漢".repeat(500_000)}"}}`;
    server.sessions[0]?.event("other", "{}");
    server.sessions[0]?.say(big);
    expect((await heard.count(26)).at(-1)).toBe(big);
    expect(server.requests.map(({ headers }) => headers.get("authorization"))).toEqual(
      Array.from({ length: 51 }, () => "Bearer x"),
    );
    link.close();
    await link.finished;
    expect(await heard.end()).toBe("closed by Dewey");
  });

  test("is not held up by a server that answers a post only when the call is done", async () => {
    const released = Promise.withResolvers<void>();
    await using server = startSseServer({
      async posted(frame, session) {
        if (!frame.includes('"slow"')) return undefined;
        session.say('{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}');
        await released.promise;
        return undefined;
      },
    });
    const { link, heard } = await dial(server.url);
    link.send(ask(1, "slow"));
    await heard.count(1);
    link.send('{"jsonrpc":"2.0","id":"q","result":{}}');
    await until("the answer", () => server.sessions[0]?.frames.length === 2);
    released.resolve();
    expect((await heard.count(2))[1]).toContain('"slow"');
    link.close();
  });

  test("answers the requests that the server refuses, and ends when it is gone", async () => {
    await using server = startSseServer({ posted: () => new Response("too busy", { status: 503 }) });
    const { link, heard } = await dial(server.url);
    link.send(ask(1));
    link.send(note("n"));
    const [error = ""] = await heard.count(1);
    expect(JSON.parse(error)).toMatchObject({
      id: 1,
      error: { message: expect.stringContaining("HTTP 503: too busy") },
    });
    expect(error).not.toContain("s3cret");
    server.sessions[0]?.end();
    expect(await heard.end()).toBe("its event stream has ended");
    expect(heard.frames).toHaveLength(1);
  });

  test("gives a frame back that the server refuses because it lost the session, and ends", async () => {
    await using server = startSseServer({ posted: () => new Response("no such session", { status: 404 }) });
    const link = await dialSse({ url: server.url, headers: {}, log: quiet });
    const unsent: string[] = [];
    const closed = Promise.withResolvers<string>();
    link.open({ frame: () => {}, drained: () => {}, unsent: (text) => unsent.push(text), closed: closed.resolve });
    link.send(ask(1));
    expect(await closed.promise).toContain("its session is gone (HTTP 404: no such session)");
    expect(unsent).toEqual([ask(1)]);
  });

  test("delivers what was posted before it is closed", async () => {
    const released = Promise.withResolvers<void>();
    await using server = startSseServer({
      async posted() {
        await released.promise;
        return undefined;
      },
    });
    const { link } = await dial(server.url);
    for (const frame of [note("a"), note("b"), note("c")]) link.send(frame);
    link.close();
    released.resolve();
    await link.finished;
    expect(server.sessions[0]?.frames).toEqual([note("a"), note("b"), note("c")]);
  });

  test("that cannot be opened names the address and the reason, without secrets", async () => {
    await using elsewhere = startSseServer({ endpoint: () => "http://example.org/messages" });
    await using other = startSseServer({ endpoint: () => "http://[" });
    using page = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hello") });
    using closed = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("no", { status: 403 }) });
    for (const [url, reason] of [
      [elsewhere.url, "its endpoint has another origin"],
      [other.url, "its endpoint has another origin"],
      [`${page.url.href}?key=s3cret`, "it answers GET without an event stream"],
      [`${closed.url.href}?key=s3cret`, "HTTP 403: no"],
      [`http://127.0.0.1:${freePort()}/?key=s3cret`, "the connection was refused"],
    ] as const) {
      const { code, message } = await failure(dialSse({ url, headers: {}, log: quiet }));
      expect([code, message]).toEqual(["unavailable", expect.stringContaining(`cannot be reached: `)]);
      expect(message).toContain(reason);
      expect(message).not.toContain("s3cret");
    }
    // None of the headers reached another server.
    expect(elsewhere.requests.map(({ method }) => method)).toEqual(["GET"]);
  });
});
