import { afterEach, beforeEach, expect, test } from "bun:test";
import { CallWatch, watchingTap } from "../../../src/proxy/relay/call-watch.ts";
import type { Direction } from "../../../src/proxy/relay/tap.ts";
import { viewFrame } from "../../../src/wire/frame.ts";
import { stopClock } from "../../support/clock.ts";
import type { StoppedClock } from "../../support/clock.ts";

let clock: StoppedClock;
let ended: [string, number][];
let watch: CallWatch;
beforeEach(() => {
  clock = stopClock();
  ended = [];
  watch = new CallWatch((outcome, ms) => ended.push([outcome, ms]));
});
afterEach(() => clock[Symbol.dispose]());

const view = (message: object) => viewFrame(JSON.stringify(message));
const call = (id: unknown) => ({ id, method: "tools/call", params: { name: "x" } });
const asked = (message: object) => watch.asked(view(message));
const answered = (message: object) => watch.answered(view(message));

test("each tool call ends with its outcome and its duration", async () => {
  const answers = {
    success: { result: { content: [] } },
    error: { result: { isError: true } },
    unavailable: { error: { code: 503, message: "the upstream is gone" } },
  };
  for (const [outcome, answer] of Object.entries(answers)) {
    asked(call(outcome));
    await clock.pass(1500);
    answered({ id: outcome, ...answer });
    expect(ended.at(-1)).toEqual([outcome, 1500]);
  }
  asked(call(1));
  answered({ id: 1, error: { code: -32_602, message: "no such tool" } });
  asked(call(2));
  answered({ id: 2, error: "nonsense" });
  asked(call(3));
  answered({ id: 3, result: "nonsense" });
  expect(ended.slice(3).map(([outcome]) => outcome)).toEqual(["error", "error", "success"]);
});

test("a cancelled call ends, and its late answer counts no more", () => {
  asked(call("a"));
  asked({ method: "notifications/cancelled", params: { requestId: "a" } });
  answered({ id: "a", result: {} });
  expect([watch.size, ended.map(([outcome]) => outcome)]).toEqual([0, ["cancelled"]]);
});

test("other requests count as open, but are not reported", () => {
  asked({ id: 1, method: "ping" });
  asked({ method: "notifications/x" });
  expect(watch.size).toBe(1);
  answered({ id: 1, result: {} });
  expect([watch.size, ended]).toEqual([0, []]);
});

test("a subscription, which is answered only at its end, does not count as open", () => {
  asked({ id: 1, method: "subscriptions/listen" });
  expect(watch.size).toBe(0);
});

test("the messages of a batch count one by one", () => {
  watch.asked(viewFrame(JSON.stringify([call(1), call(2)])));
  expect(watch.size).toBe(2);
  watch.answered(
    viewFrame(
      JSON.stringify([
        { id: 1, result: {} },
        { id: 2, error: {} },
      ]),
    ),
  );
  expect(ended.map(([outcome]) => outcome)).toEqual(["success", "error"]);
});

test("an answer to an unknown request is ignored", () => {
  asked(call(1));
  answered({ id: "1", result: {} });
  answered(call(1));
  expect([watch.size, ended]).toEqual([1, []]);
});

test("the oldest of more than ten thousand open requests counts as unanswered", () => {
  for (let id = 1; id <= 10_000; id++) asked(call(id));
  expect([watch.size, ended]).toEqual([10_000, []]);
  asked(call(10_001));
  expect([watch.size, ended]).toEqual([10_000, [["unanswered", 0]]]);
  answered({ id: 1, result: {} });
  expect(watch.size).toBe(10_000);
  answered({ id: 2, result: {} });
  expect(watch.size).toBe(9999);
});

test("requests still open when the session ends are unanswered", () => {
  asked(call(1));
  asked({ id: 2, method: "ping" });
  watch.close();
  expect([watch.size, ended]).toEqual([0, [["unanswered", 0]]]);
});

test("idle resolves for every waiter once no request is in flight", async () => {
  let idle = 0;
  await watch.idle();
  asked(call(1));
  asked(call(2));
  void watch.idle().then(() => (idle += 1));
  void watch.idle().then(() => (idle += 1));
  answered({ id: 1, result: {} });
  await clock.pass(1);
  expect(idle).toBe(0);
  answered({ id: 2, result: {} });
  // The next request arrives before the waiters have noticed.
  asked(call(3));
  await clock.pass(1);
  expect(idle).toBe(0);
  answered({ id: 3, result: {} });
  await clock.pass(1);
  expect(idle).toBe(2);
});

test("a watching tap shows requests on their way up, and answers once they were sent down", () => {
  const passes: (() => void)[] = [];
  const seen: string[] = [];
  const tap = watchingTap(
    {
      frame: (direction, _frame, pass) => {
        seen.push(direction);
        passes.push(pass);
      },
      closed: (reason) => seen.push(reason),
    },
    watch,
  );
  const frame = (direction: Direction, message: object) => {
    const text = JSON.stringify(message);
    tap.frame(direction, { text, view: viewFrame(text) }, () => seen.push(`passed ${direction}`));
  };
  frame("up", call(1));
  expect(watch.size).toBe(1);
  // The client's answer to a request of the server with the same id.
  frame("up", { id: 1, result: {} });
  frame("down", { id: 2, method: "sampling/createMessage" });
  for (const pass of passes.splice(0)) pass();
  expect(watch.size).toBe(1);
  frame("down", { id: 1, result: {} });
  expect(watch.size).toBe(1);
  for (const pass of passes) pass();
  expect(watch.size).toBe(0);
  tap.closed("bye");
  expect(seen).toEqual(["up", "up", "down", "passed up", "passed up", "passed down", "down", "passed down", "bye"]);
});
