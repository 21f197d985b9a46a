import { expect, test } from "bun:test";
import { Inbox } from "../../src/wire/inbox.ts";

function open(inbox: Inbox): string[] {
  const events: string[] = [];
  inbox.open({
    frame: (text) => void events.push(text),
    drained: () => void events.push("drained"),
    closed: (reason) => void events.push(`closed: ${reason}`),
  });
  return events;
}

test("frames are held before the owner is ready and while it is paused, in order", () => {
  const inbox = new Inbox();
  inbox.frame("a");
  const events = open(inbox);
  inbox.frame("b");
  inbox.pause();
  inbox.frame("c");
  inbox.frame("d");
  inbox.drained();
  expect(events).toEqual(["a", "b", "drained"]);
  inbox.resume();
  inbox.frame("e");
  expect(events).toEqual(["a", "b", "drained", "c", "d", "e"]);
});

test("an owner that pauses again while it receives held frames gets the rest later", () => {
  const inbox = new Inbox();
  for (const text of ["a", "b", "c"]) inbox.frame(text);
  const events: string[] = [];
  inbox.open({
    frame(text) {
      events.push(text);
      if (text === "a") inbox.pause();
    },
    drained: () => {},
    closed: () => {},
  });
  expect(events).toEqual(["a"]);
  inbox.resume();
  expect(events).toEqual(["a", "b", "c"]);
});

test("the close is reported once, after the frames that were held", () => {
  const paused = new Inbox();
  const events = open(paused);
  paused.pause();
  paused.frame("a");
  paused.closed("first");
  paused.closed("second");
  expect(events).toEqual(["a", "closed: first"]);
  const early = new Inbox();
  early.frame("a");
  early.closed("before it was open");
  expect(open(early)).toEqual(["a", "closed: before it was open"]);
});

test("what is held at the close is delivered, even to an owner that pauses at every frame", () => {
  const inbox = new Inbox();
  const events: string[] = [];
  inbox.open({
    frame(text) {
      events.push(text);
      inbox.pause();
    },
    drained: () => {},
    closed: (reason) => void events.push(`closed: ${reason}`),
  });
  for (const text of ["a", "b", "c"]) inbox.frame(text);
  expect(events).toEqual(["a"]);
  inbox.closed("it left");
  expect(events).toEqual(["a", "b", "c", "closed: it left"]);
});

test("it is full from 4 million characters on, and reading goes on when they are delivered", async () => {
  const inbox = new Inbox();
  const events = open(inbox);
  inbox.pause();
  inbox.frame("x".repeat(2_000_000));
  expect(inbox.isFull).toBe(false);
  await inbox.room();
  inbox.frame("x".repeat(2_000_000));
  expect(inbox.isFull).toBe(true);
  let hasRoom = false;
  const room = inbox.room().then(() => (hasRoom = true));
  await Bun.sleep(1);
  expect(hasRoom).toBe(false);
  inbox.resume();
  await room;
  expect([inbox.isFull, events.length]).toEqual([false, 2]);
});
