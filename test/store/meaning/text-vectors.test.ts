import { expect, test } from "bun:test";
import { EndpointFailure } from "../../../src/store/meaning/endpoint.ts";
import { TextVectors } from "../../../src/store/meaning/text-vectors.ts";

const model = { id: "m", name: "m", dimensions: 2, queryPrefix: "", isComplete: false };
const signal = new AbortController().signal;
const failed = () => new EndpointFailure("away", "it broke the connection off", { mayBeOfTexts: true });

/** An endpoint that fails over some texts as `over` says, with what it was asked for. */
function start(over: (text: string) => EndpointFailure | undefined) {
  const asked: string[][] = [];
  const vectors = new TextVectors(
    {
      embed(_model, texts) {
        asked.push(texts);
        const failure = texts.map(over).find((each) => each !== undefined);
        if (failure) return Promise.reject(failure);
        return Promise.resolve(texts.map(() => Float32Array.of(1, 0)));
      },
    },
    { documentPrefix: "", queriesAnswered: () => Promise.resolve(), answered: () => {} },
  );
  const lengths = async (texts: string[]) => (await vectors.of(model, texts, signal)).map((each) => each?.length);
  return { asked, lengths };
}

const outcomes: [string, () => EndpointFailure][] = [
  ["refuses", () => new EndpointFailure("refused", "it answers with status 413", { mayBeOfTexts: true })],
  ["breaks down over", failed],
  ["answers with NaN", () => new EndpointFailure("wrong", "it returned a vector of zeros")],
];
for (const [outcome, failure] of outcomes) {
  test(`a text that an endpoint ${outcome} does not keep others from their vectors`, async () => {
    const it = start((text) => (text.startsWith("p") ? failure() : undefined));
    expect(await it.lengths(["one", "poison", "two"])).toEqual([2, undefined, 2]);
  });

  test(`of a text that an endpoint ${outcome} while it is long, the beginning gets a vector`, async () => {
    const it = start((text) => (text.length > 300 ? failure() : undefined));
    const long = Array.from({ length: 40 }, (_, n) => `${n} ${"x".repeat(698)}`);
    expect(await it.lengths(["one", ...long])).toEqual([2, ...long.map(() => 2)]);
    expect(it.asked.some(([text = ""]) => text.startsWith("7 x") && text.length > 150 && text.length <= 300)).toBe(
      true,
    );
  });
}

test("a text over which a server ends does not keep others from their vectors for ever", async () => {
  let isDown = false;
  const it = start((text) => {
    isDown ||= text === "poison";
    return isDown ? failed() : undefined;
  });
  let attempts = 0;
  for (;;) {
    attempts += 1;
    // Its supervisor starts it again before the next attempt.
    isDown = false;
    const found = await it.lengths(["poison"]).catch(() => undefined);
    if (found) {
      expect(found).toEqual([2]);
      break;
    }
    expect(attempts).toBeLessThan(10);
  }
  isDown = false;
  expect(await it.lengths(["one", "poison", "two"])).toEqual([2, 2, 2]);
});

test("an endpoint that is away for all texts blames none, and later takes each as a whole", async () => {
  let isAway = true;
  const it = start(() => (isAway ? failed() : undefined));
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const error = await it.lengths(["a long text"]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "away" });
  }
  isAway = false;
  it.asked.length = 0;
  expect(await it.lengths(["a long text"])).toEqual([2]);
  expect(it.asked).toEqual([["dewey"], ["a long text"]]);
});

test("an endpoint that is busy is not asked for single texts", async () => {
  const busy = new EndpointFailure("away", "it answers with status 429", { retryAfterMs: 5000, mayBeOfTexts: false });
  const it = start((text) => (text === "dewey" ? undefined : busy));
  expect(await it.lengths(["one", "two"]).catch((thrown: unknown) => thrown)).toBe(busy);
  expect(it.asked).toEqual([["one", "two"]]);
});

test("the same text twice in a request gets its vector twice", async () => {
  let failures = 1;
  const it = start((text) => (text === "twin" && failures-- > 0 ? failed() : undefined));
  expect(await it.lengths(["twin"])).toEqual([2]);
  expect(await it.lengths(["twin", "one", "twin"])).toEqual([2, 2, 2]);
});
