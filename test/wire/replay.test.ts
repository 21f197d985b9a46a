import { expect, test } from "bun:test";
import { Replay } from "../../src/wire/replay.ts";

const frames = (replay: Replay, stream: string, number = 0) => replay.after(stream, number).map(({ frame }) => frame);

test("events are numbered across streams, and replayed by stream", () => {
  const replay = new Replay();
  expect(replay.last).toBe(0);
  expect(replay.add("a", "1")).toEqual({ stream: "a", number: 1, frame: "1" });
  expect(replay.add("b", "2")).toEqual({ stream: "b", number: 2, frame: "2" });
  replay.add("a", "3");
  expect(replay.last).toBe(3);
  expect(frames(replay, "a")).toEqual(["1", "3"]);
  expect(frames(replay, "a", 1)).toEqual(["3"]);
  expect([frames(replay, "a", 3), frames(replay, "c")]).toEqual([[], []]);
});

test("the oldest events are evicted after 1,000", () => {
  const replay = new Replay();
  for (let count = 0; count < 1002; count += 1) replay.add("a", `${count}`);
  const kept = frames(replay, "a");
  expect([kept.length, kept[0], kept.at(-1), replay.last]).toEqual([1000, "2", "1001", 1002]);
});

test("the oldest events are evicted beyond 16 million characters, but never the latest", () => {
  const replay = new Replay();
  const large = "x".repeat(8_000_000);
  for (let count = 0; count < 2; count += 1) replay.add("a", large);
  expect(frames(replay, "a")).toHaveLength(2);
  replay.add("a", "y");
  expect(frames(replay, "a")).toEqual([large, "y"]);
  const huge = "z".repeat(20_000_000);
  replay.add("a", huge);
  expect(frames(replay, "a")).toEqual([huge]);
  replay.add("a", "y");
  expect(frames(replay, "a")).toEqual(["y"]);
  for (let count = 0; count < 2; count += 1) replay.add("a", large.slice(1));
  expect(frames(replay, "a")).toHaveLength(3);
});
