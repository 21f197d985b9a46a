import { expect, test } from "bun:test";
import { EndpointFailure } from "../../../src/store/meaning/endpoint.ts";
import { QueryVectors } from "../../../src/store/meaning/query-vectors.ts";
import { stopClock } from "../../support/clock.ts";
import { quiet } from "../../support/quiet.ts";

const model = { id: "m", name: "m", dimensions: 2, queryPrefix: "query: ", isComplete: true };

/** Vectors of queries from an endpoint that fails as `over` says, with the texts that it was asked for. */
function start(over: (text: string) => EndpointFailure | undefined) {
  const asked: string[] = [];
  const vectors = new QueryVectors(
    {
      embed(_model, [text = ""]) {
        asked.push(text);
        const failure = over(text);
        return failure ? Promise.reject(failure) : Promise.resolve([Float32Array.of(1, 0)]);
      },
    },
    quiet,
  );
  return { asked, vectors };
}

test("a query that is too long for the model is asked for by its beginning, and the endpoint is not away", async () => {
  const it = start((text) => (text.length > 600 ? new EndpointFailure("refused", "status 413") : undefined));
  const query = "many words ".repeat(180);
  expect(await it.vectors.of(query, model)).toHaveLength(2);
  expect(it.asked.map((text) => text.length)).toEqual([1987, 997, 502]);
  expect(it.vectors.isAway).toBe(false);
  // What was found is remembered for the whole query.
  await it.vectors.of(query, model);
  expect(it.asked).toHaveLength(3);
});

test("an endpoint that refuses every query is away, after a few attempts", async () => {
  const it = start(() => new EndpointFailure("refused", "status 400"));
  expect(await it.vectors.of("the car", model)).toBeUndefined();
  expect([it.asked.length, it.vectors.isAway]).toEqual([4, true]);
});

test("an endpoint that is busy is left alone for as long as it asks", async () => {
  using clock = stopClock();
  let isBusy = true;
  const it = start(() => (isBusy ? new EndpointFailure("away", "status 429", { retryAfterMs: 60_000 }) : undefined));
  await it.vectors.of("the car", model);
  isBusy = false;
  await clock.pass(59_000);
  await it.vectors.of("the car", model);
  expect(it.asked).toHaveLength(1);
  await clock.pass(2000);
  await it.vectors.of("the car", model);
  expect(it.asked).toHaveLength(2);
  await clock.pass(1);
  expect(await it.vectors.of("the car", model)).toHaveLength(2);
});
