import { expect, test } from "bun:test";
import { boundedText } from "../../src/wire/bounded-text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A response whose body never ends; `cancelled` tells that its reader has left. */
function endless() {
  const state = { pulls: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        state.pulls += 1;
        controller.enqueue(bytes("quince"));
      },
      cancel: () => void (state.cancelled = true),
    },
    { highWaterMark: 0 },
  );
  return { response: new Response(body), state };
}

test("a body up to the limit is read whole, with letters that two chunks share", async () => {
  const [first, second] = [bytes("größe").subarray(0, 3), bytes("größe").subarray(3)];
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(first);
      controller.enqueue(second);
      controller.close();
    },
  });
  expect(await boundedText(new Response(body), 7)).toBe("größe");
  expect(await boundedText(new Response(null), 7)).toBe("");
});

test("a larger body is refused, and read no further", async () => {
  const { response, state } = endless();
  expect(await boundedText(response, 20).catch(String)).toContain("larger than 20 bytes");
  expect([state.pulls, state.cancelled]).toEqual([4, true]);
});
