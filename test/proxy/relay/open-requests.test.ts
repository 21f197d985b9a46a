import { expect, test } from "bun:test";
import { OpenRequests } from "../../../src/proxy/relay/open-requests.ts";
import { viewFrame } from "../../../src/wire/frame.ts";

const view = (...messages: object[]) => viewFrame(JSON.stringify(messages.length === 1 ? messages[0] : messages));
const request = (id: unknown) => ({ id, method: "ping" });
const response = (id: unknown) => ({ id, result: {} });

test("a request is open until it is answered, alone or in a batch", () => {
  const open = new OpenRequests();
  open.asked(view(request(1)));
  open.asked(view(request("1"), { method: "notifications/x" }, request(2)));
  open.asked(view(response(3)));
  expect([open.size, open.has("1"), open.has('"1"'), open.has("3")]).toEqual([3, true, true, false]);
  open.answered(view(response(1)));
  open.answered(view(request(2)));
  expect([open.size, open.has("1"), open.has('"1"')]).toEqual([2, false, true]);
  open.answered(view(response("1"), response(2)));
  expect(open.size).toBe(0);
});

test("a subscription is open, but no answer to it is expected", () => {
  const open = new OpenRequests();
  const listen = { id: 1, method: "subscriptions/listen" };
  open.asked(view(listen, request(2)));
  expect([open.size, open.has("1")]).toEqual([1, true]);
  open.answered(view(response(2)));
  expect(open.size).toBe(0);
  // Its id may name another request later.
  open.answered(view(response(1)));
  open.asked(view(request(1)));
  expect(open.size).toBe(1);
  open.asked(view({ ...listen, id: 3 }));
  expect(open.takeAll()).toEqual([1, 3]);
  open.asked(view(request(3)));
  expect(open.size).toBe(1);
});

test("taking all ids returns them unchanged and leaves none open", () => {
  const open = new OpenRequests();
  open.asked(view(request(1), request("a")));
  open.add(null);
  expect(open.takeAll()).toEqual([1, "a", null]);
  expect([open.size, open.takeAll()]).toEqual([0, []]);
});

test("an id is forgotten when it is used for another request, alone or in a batch", () => {
  const open = new OpenRequests();
  for (const id of [1, 2, 3]) open.add(id);
  open.forget(view(response(1)));
  expect(open.size).toBe(3);
  open.forget(view(request(1)));
  open.forget(view(request(2), request(4)));
  expect(open.takeAll()).toEqual([3]);
});

test("a request that was cancelled is no longer open, alone or in a batch", () => {
  const open = new OpenRequests();
  const cancelled = (requestId: unknown) => ({ method: "notifications/cancelled", params: { requestId } });
  for (const id of [1, "1", 2]) open.add(id);
  open.asked(view(cancelled("1")));
  open.asked(view(cancelled(2), request(3)));
  for (const none of [{ method: "notifications/cancelled" }, cancelled({}), cancelled(null)]) open.asked(view(none));
  expect(open.takeAll()).toEqual([1, 3]);
});
