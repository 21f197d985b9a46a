import { expect, test } from "bun:test";
import { AnsweredRequests } from "../../../src/proxy/relay/answered-requests.ts";
import { OpenRequests } from "../../../src/proxy/relay/open-requests.ts";
import { viewFrame } from "../../../src/wire/frame.ts";

const request = (id: unknown) => viewFrame(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call" }));
const answer = (id: unknown) => viewFrame(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
const batch = (...ids: unknown[]) => viewFrame(JSON.stringify(ids.map((id) => ({ jsonrpc: "2.0", id, result: {} }))));

/** The client's side of a session, which asks and is answered. */
function start() {
  const answered = new AnsweredRequests();
  const open = new OpenRequests();
  return {
    ask(id: unknown) {
      answered.asked(request(id), open);
      open.asked(request(id));
    },
    /** Whether an answer reaches the client. */
    answer(view: ReturnType<typeof answer>): boolean {
      if (answered.isRepetition(view)) return false;
      open.answered(view);
      answered.answered(view);
      return true;
    },
  };
}

test('a request is answered once, alone or in a batch, and 1 is not "1"', () => {
  const it = start();
  for (const id of [1, "1", 2, 3]) it.ask(id);
  expect([1, 1, "1", "1"].map((id) => it.answer(answer(id)))).toEqual([true, false, true, false]);
  // A batch is not changed: one that holds something new passes.
  expect([batch(2, 1), batch(2, 1), batch(3, 2), batch(3)].map((view) => it.answer(view))).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

test("an id that is used again is answered again", () => {
  const it = start();
  it.ask(1);
  expect(it.answer(answer(1))).toBe(true);
  it.ask(1);
  expect([it.answer(answer(1)), it.answer(answer(1))]).toEqual([true, false]);
});

test("requests with one id at the same time are all answered", () => {
  const it = start();
  it.ask(1);
  it.ask(1);
  expect([it.answer(answer(1)), it.answer(answer(1))]).toEqual([true, true]);
});

test("answers to what nobody asked, or to what could not be read, pass", () => {
  const it = start();
  expect([it.answer(answer("x")), it.answer(answer(null)), it.answer(answer(null))]).toEqual([true, true, true]);
});

test("the latest thousand are remembered, and no id of any length", () => {
  const it = start();
  for (let id = 0; id <= 1000; id += 1) it.answer(answer(id));
  expect([it.answer(answer(0)), it.answer(answer(1000))]).toEqual([true, false]);
  const long = "x".repeat(2000);
  expect([it.answer(answer(long)), it.answer(answer(long))]).toEqual([true, true]);
});
