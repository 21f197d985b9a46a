import { describe, expect, test } from "bun:test";
import { FAREWELL_STALL_MS } from "../../src/wire/limits.ts";
import { PostQueue } from "../../src/wire/post-queue.ts";
import { stopClock } from "../support/clock.ts";

/** A queue whose server takes a frame when the test says so. */
function startQueue(maxSendingCharacters?: number) {
  const posts: { frame: string; answer: PromiseWithResolvers<void> }[] = [];
  const drained: number[] = [];
  const queue = new PostQueue({
    async post(frame) {
      const answer = Promise.withResolvers<void>();
      posts.push({ frame, answer });
      await queue.carry(frame, () => answer.promise).catch(() => {});
    },
    drained: () => void drained.push(posts.length),
    maxSendingCharacters,
  });
  const turn = () => Bun.sleep(0);
  return { queue, posts, drained, turn };
}

describe("a queue of posts", () => {
  test("posts the next frame once the one before lets it, also after a failure", async () => {
    const { queue, posts, turn } = startQueue();
    for (const frame of ["a", "b", "c"]) queue.send(frame);
    await turn();
    expect(posts.map(({ frame }) => frame)).toEqual(["a"]);
    posts[0]?.answer.reject(new Error("refused"));
    await turn();
    expect(posts.map(({ frame }) => frame)).toEqual(["a", "b"]);
  });

  test("reports backpressure at its limit, and once that there is room again", async () => {
    const { queue, posts, drained, turn } = startQueue(4);
    expect(["aa", "bb", "cc"].map((frame) => queue.send(frame))).toEqual([true, false, false]);
    for (const at of [0, 1, 2]) {
      await turn();
      posts[at]?.answer.resolve();
    }
    await queue.emptied();
    expect(drained).toEqual([2]);
  });

  test("is flushed when every frame has arrived", async () => {
    const { queue, posts, turn } = startQueue();
    await queue.flushed();
    queue.send("a");
    let isFlushed = false;
    const flushed = queue.flushed().then(() => (isFlushed = true));
    await turn();
    expect(isFlushed).toBe(false);
    posts[0]?.answer.resolve();
    await flushed;
  });

  test("is not waited for when its server takes nothing more", async () => {
    using clock = stopClock();
    const { queue } = startQueue();
    queue.send("a");
    const flushed = queue.flushed();
    await clock.pass(FAREWELL_STALL_MS, 100);
    await flushed;
  });
});
