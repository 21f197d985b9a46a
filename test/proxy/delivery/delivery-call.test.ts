import { describe, expect, test } from "bun:test";
import { charactersOf, nextCall } from "../../../src/proxy/delivery/delivery-call.ts";
import type { Delivery } from "../../../src/proxy/delivery/record.ts";
import { MAX_FRAME_BYTES } from "../../../src/wire/frame.ts";

const message = (content: string): Delivery & { kind: "message" } => ({
  kind: "message",
  conversation: "c",
  message: { message_id: "m", role: "user", content, created_at: "t", metadata: { a: 1 } },
});
const begin: Delivery = { kind: "begin", conversation: "c", sessionKey: "key", metadata: { a: 1 } };
const row = { correlation_id: "r", model: "m", output: "o", status: "success" } as const;
const result: Delivery = { kind: "result", conversation: "c", result: row };

const callOf = (deliveries: Delivery[], mostMessages = Infinity) =>
  nextCall(
    deliveries.map((delivery) => ({ delivery, characters: charactersOf(delivery) })),
    mostMessages,
  );

describe("the next call", () => {
  test("is undefined when nothing waits", () => {
    expect(callOf([])).toBeUndefined();
  });

  test("begins a conversation, alone, with its key and metadata", () => {
    expect(callOf([begin, message("x")])).toEqual({
      tool: "dewey_begin_conversation",
      args: { conversation_id: "c", session_id: "key", metadata: { a: 1 } },
      deliveries: 1,
      messages: 0,
    });
    expect(callOf([{ kind: "begin", conversation: "c", metadata: {} }])?.args).toEqual({
      conversation_id: "c",
      metadata: {},
    });
  });

  test("stores a result, alone, even for a conversation in the trash", () => {
    expect(callOf([result, result])).toEqual({
      tool: "dewey_store_fiedler_result",
      args: { ...row, follow_to_trash: true },
      deliveries: 1,
      messages: 0,
    });
  });

  test("stores the messages before the next other delivery, even for a conversation in the trash", () => {
    const [one, two, three] = [message("1"), message("2"), message("3")];
    expect(callOf([one, two, result, three])).toEqual({
      tool: "dewey_store_messages_bulk",
      args: { conversation_id: "c", follow_to_trash: true, messages: [one.message, two.message] },
      deliveries: 2,
      messages: 2,
    });
  });

  test("stores at most 500 messages, or fewer if told so", () => {
    const many = Array.from({ length: 600 }, () => message("x"));
    expect(callOf(many)?.messages).toBe(500);
    expect(callOf(many, 7)?.messages).toBe(7);
  });

  test("stores at most four million characters, or a single larger message", () => {
    const large = message("x".repeat(1_500_000));
    expect(callOf([large, large, large])?.messages).toBe(2);
    expect(callOf([message("x".repeat(5_000_000)), message("x")])?.messages).toBe(1);
    const exact = message("x".repeat(2_000_000 - '{"a":1}'.length));
    expect(callOf([exact, exact])?.messages).toBe(2);
    expect(callOf([exact, exact, message("")])?.messages).toBe(2);
  });
});

test("the size of a message is that of content and metadata; other deliveries count as a call's overhead", () => {
  expect(charactersOf(message("four"))).toBe(4 + '{"a":1}'.length);
  expect([charactersOf(begin), charactersOf(result)]).toEqual([1000, 1000]);
});

describe("a message near the largest frame", () => {
  const contentOf = (content: string) => {
    const messages = callOf([message(content)])?.args["messages"] as { content: string; metadata: object }[];
    return messages[0];
  };

  test("is cut when JSON escapes it beyond the limit, with its full length in metadata", () => {
    // JSON writes U+0001 as six characters.
    const content = "\u0001".repeat(Math.ceil(MAX_FRAME_BYTES / 6));
    const cut = contentOf(content);
    expect(cut?.metadata).toEqual({ a: 1, cut_from_characters: content.length });
    expect(JSON.stringify(cut).length).toBeWithin(MAX_FRAME_BYTES / 3, MAX_FRAME_BYTES - 900);
  });

  test("is never cut within a surrogate pair", () => {
    // The cut falls on an odd index, which is within a surrogate pair here.
    const content = `${"😀".repeat(MAX_FRAME_BYTES / 16)}${"\u0001".repeat(MAX_FRAME_BYTES / 7)}`;
    const cut = contentOf(content);
    expect(cut?.content.isWellFormed()).toBe(true);
    expect(cut?.content.length).toBeLessThan(content.length);
  });

  test("stays whole when only its worst-case escaping would exceed the limit", () => {
    const content = "x".repeat(MAX_FRAME_BYTES / 4);
    expect(contentOf(content)?.content.length).toBe(content.length);
  });
});
