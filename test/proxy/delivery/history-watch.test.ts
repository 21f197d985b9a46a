import { beforeEach, describe, expect, test } from "bun:test";
import { DeweyError } from "../../../src/errors.ts";
import { HistoryWatch } from "../../../src/proxy/delivery/history-watch.ts";
import { WENT_AWAY } from "../../../src/tool-client.ts";
import { failure } from "../../support/failure.ts";

/** What the server answers the question for its history: a reply, or an error. */
let answer: unknown;
let called: string[];
let seen: (string | undefined)[];
let takesBack: boolean;
let fails: DeweyError | undefined;
let watch: HistoryWatch;
beforeEach(() => {
  [answer, called, seen, takesBack, fails] = [{ history: "a-1" }, [], [], false, undefined];
  watch = new HistoryWatch({
    client: {
      async call(tool) {
        called.push(tool);
        await Promise.resolve();
        const isLook = tool === "dewey_identify_database";
        if (isLook && answer instanceof Error) throw answer;
        if (!isLook && fails) throw fails;
        return isLook ? (answer as Record<string, unknown>) : {};
      },
    },
    onLook(history) {
      seen.push(history);
      return takesBack;
    },
  });
});

const LOOK = "dewey_identify_database";

describe("the history of the database", () => {
  test("is asked for before the first call, once for all, and before the next call after a failure", async () => {
    await Promise.all([watch.call("a", {}), watch.call("b", {})]);
    await watch.call("c", {});
    expect(called).toEqual([LOOK, "a", "b", "c"]);
    fails = new DeweyError("unavailable", "not now");
    expect(await failure(watch.call("d", {}))).toMatchObject({ message: "not now" });
    fails = undefined;
    await watch.call("e", {});
    expect(called.slice(4)).toEqual(["d", LOOK, "e"]);
    expect([seen, watch.history]).toEqual([["a-1", "a-1"], "a-1"]);
  });

  test("is not asked for after a refusal, which is the record's fault", async () => {
    fails = new DeweyError("invalid", "wrong");
    await failure(watch.call("a", {}));
    await failure(watch.call("b", {}));
    expect(called).toEqual([LOOK, "a", "b"]);
  });

  test("keeps a call from being made whose records were taken back", async () => {
    takesBack = true;
    expect(await failure(watch.call("a", {}))).toMatchObject({ code: "unavailable" });
    expect(called).toEqual([LOOK]);
    await watch.call("a", {});
    expect(called).toEqual([LOOK, "a"]);
  });

  test("is unknown where the server does not know the question, or answers with something else", async () => {
    for (const odd of [new DeweyError("invalid", "unknown tool"), {}, { history: 7 }, { history: "a\nb" }]) {
      answer = odd;
      watch.doubt();
      await watch.call("a", {});
      expect(watch.history).toBeUndefined();
    }
  });

  test("fails a call while there is no answer, without blaming its records", async () => {
    answer = new DeweyError("unavailable", "away", { cause: WENT_AWAY });
    const error = await failure(watch.call("a", {}));
    expect(error).toMatchObject({ code: "unavailable", message: "away" });
    expect(error.cause).toBeUndefined();
    expect([called, seen]).toEqual([[LOOK], []]);
  });
});
