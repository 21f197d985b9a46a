import { expect, test } from "bun:test";
import { countingTap, noTap } from "../../../src/proxy/relay/tap.ts";
import { viewFrame } from "../../../src/wire/frame.ts";

test("a counting tap counts the bytes of each frame, and forwards frames and the end", () => {
  const seen: unknown[] = [];
  const tap = countingTap(
    {
      frame(direction, { text }, pass) {
        seen.push([direction, text]);
        pass();
      },
      closed: (reason) => seen.push(reason),
    },
    (direction, bytes) => seen.push([direction, bytes]),
  );
  const text = '"é漢"';
  tap.frame("down", { text, view: viewFrame(text) }, () => seen.push("passed"));
  tap.closed("bye");
  expect(seen).toEqual([["down", 7], ["down", text], "passed", "bye"]);
});

test("noTap passes every frame at once", () => {
  let passed = 0;
  noTap.frame("up", { text: "{}", view: viewFrame("{}") }, () => (passed += 1));
  noTap.closed("bye");
  expect(passed).toBe(1);
});
