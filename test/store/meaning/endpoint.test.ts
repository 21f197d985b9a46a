import { describe, expect, test } from "bun:test";
import { Endpoint, EndpointFailure } from "../../../src/store/meaning/endpoint.ts";
import { TestEndpoint, vectorOf } from "../../support/embeddings-endpoint.ts";
import type { Behaviour } from "../../support/embeddings-endpoint.ts";

const LIMIT_MS = 10_000;

/** How an endpoint that behaves so fails. */
async function failing(behaviour: Behaviour, options: { limitMs?: number; dimensions?: number } = {}) {
  await using server = new TestEndpoint();
  server.behaviour = behaviour;
  const endpoint = new Endpoint({ url: server.url, key: "secret-key" });
  const asked = endpoint.embed("m", ["one", "two"], { limitMs: LIMIT_MS, ...options });
  const error = await asked.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof EndpointFailure))
    throw new Error(`${behaviour} did not fail as an endpoint: ${String(error)}`);
  expect(error.message).not.toContain("secret-key");
  return error;
}

describe("an embeddings endpoint", () => {
  test("is asked in OpenAI's form, and returns unit vectors in the order of the texts", async () => {
    await using server = new TestEndpoint();
    const endpoint = new Endpoint({ url: `${server.url}/`, key: "secret-key", dimensions: 64 });
    const [one, two] = await endpoint.embed("m", ["a car", "a guitar"], { limitMs: LIMIT_MS, dimensions: 64 });
    expect(server.requests).toEqual([
      { model: "m", input: ["a car", "a guitar"], dimensions: 64, authorization: "Bearer secret-key" },
    ]);
    const length = Math.hypot(...vectorOf("a car", 64));
    expect([...(one ?? [])].map((each) => each.toFixed(4))).toEqual(
      vectorOf("a car", 64).map((each) => (each / length).toFixed(4)),
    );
    expect(Math.hypot(...(two ?? []))).toBeCloseTo(1, 5);
  });

  test("is told the key that is valid now", async () => {
    await using server = new TestEndpoint();
    let key = "first-key";
    const endpoint = new Endpoint({ url: server.url, key: () => key });
    await endpoint.embed("m", ["a car"], { limitMs: LIMIT_MS });
    key = "second-key";
    await endpoint.embed("m", ["a car"], { limitMs: LIMIT_MS });
    expect(server.requests.map(({ authorization }) => authorization)).toEqual([
      "Bearer first-key",
      "Bearer second-key",
    ]);
  });

  test("returns each vector for its text, whatever their order in the answer", async () => {
    using server = Bun.serve({
      port: 0,
      fetch: () =>
        Response.json({
          data: [
            { index: 1, embedding: [0, 2] },
            { index: 0, embedding: [3, 0] },
          ],
        }),
    });
    const endpoint = new Endpoint({ url: `http://127.0.0.1:${server.port}` });
    const vectors = await endpoint.embed("m", ["one", "two"], { limitMs: LIMIT_MS });
    expect(vectors.map((each) => [...each])).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  const wrong: [Behaviour, string][] = [
    ["nan", "zeros, or with values that are no numbers"],
    ["zeros", "zeros, or with values that are no numbers"],
    ["few", "returned 1 vectors for 2 texts"],
    ["huge", "longer than its vectors can be"],
    ["noJson", "no JSON"],
    ["redirect", "it redirects"],
    ["unauthorized", "DEWEY_EMBEDDINGS_KEY"],
  ];
  test.each(wrong)("is refused when it answers wrong: %s", async (behaviour, message) => {
    const error = await failing(behaviour);
    expect(error.kind).toBe("wrong");
    expect(error.message).toContain(message);
  });

  test("is refused when its vectors have another size, or differ in size", async () => {
    const error = await failing("short", { dimensions: 256 });
    expect([error.kind, error.message]).toEqual(["wrong", "it returned a vector of 255 dimensions instead of 256"]);
  });

  test("that hangs, breaks off or is busy is away", async () => {
    expect((await failing("hang", { limitMs: 50 })).message).toBe("it did not answer within 0.05 s");
    // Half an answer is none, whether or not the connection's end is noticed.
    expect((await failing("drop")).kind).toBeOneOf(["away", "wrong"]);
    const busy = await failing("busy");
    expect([busy.kind, busy.retryAfterMs]).toEqual(["away", 1000]);
  });

  test("that takes these texts not is told apart", async () => {
    expect((await failing("refuse")).kind).toBe("refused");
  });

  test.each([
    [400, "refused", true],
    [413, "refused", true],
    [422, "refused", true],
    [500, "refused", true],
    [404, "wrong", false],
    [408, "away", false],
    [429, "away", false],
    [502, "away", false],
    [503, "away", false],
  ] as const)(
    "that answers with status %d is %s, and that may be of the texts or not",
    async (status, kind, mayBeOfTexts) => {
      using server = Bun.serve({ port: 0, fetch: () => new Response("secret-key", { status }) });
      const asked = new Endpoint({ url: server.url.href }).embed("m", ["one"], { limitMs: LIMIT_MS });
      const error = await asked.catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ kind, mayBeOfTexts });
      expect(String(error)).not.toContain("secret-key");
    },
  );

  test("that lets its answer trickle is given up at the limit", async () => {
    using server = Bun.serve({
      port: 0,
      idleTimeout: 0,
      fetch: () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new TextEncoder().encode(" "));
              await Bun.sleep(10);
            },
          }),
        ),
    });
    const asked = new Endpoint({ url: server.url.href }).embed("m", ["one"], { limitMs: 200 });
    expect(await asked.catch((thrown: unknown) => thrown)).toMatchObject({
      kind: "away",
      message: "it did not answer within 0.2 s",
    });
  });

  const rests: [string, string, number | undefined][] = [
    ["in seconds", "7", 7000],
    ["for no time", "0", 0],
    ["until a date", new Date(Date.now() + 60_000).toUTCString(), 60_000],
    ["until a date that is past", new Date(Date.now() - 60_000).toUTCString(), 0],
    ["for too long", "999999", 600_000],
    ["in no known form", "soon", undefined],
  ];
  test.each(rests)("may ask to be left alone %s", async (_, value, ms) => {
    using server = Bun.serve({
      port: 0,
      fetch: () => new Response("", { status: 503, headers: { "retry-after": value } }),
    });
    const asked = new Endpoint({ url: server.url.href }).embed("m", ["one"], { limitMs: LIMIT_MS });
    const { retryAfterMs } = (await asked.catch((thrown: unknown) => thrown)) as EndpointFailure;
    if (ms === undefined) expect(retryAfterMs).toBeUndefined();
    else expect(Math.abs((retryAfterMs ?? NaN) - ms)).toBeLessThan(5000);
  });

  test("that nothing serves is away", async () => {
    const endpoint = new Endpoint({ url: "http://127.0.0.1:9/v1" });
    const error = await endpoint.embed("m", ["one"], { limitMs: LIMIT_MS }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "away", message: "it cannot be reached, or broke the connection off" });
  });
});
