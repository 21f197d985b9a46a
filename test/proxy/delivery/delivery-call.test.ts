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
  test("is none when nothing waits", () => {
    expect(callOf([])).toBeUndefined();
  });

  test("begins a conversation with its key and its metadata, alone", () => {
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

  test("stores a result, alone, also in a conversation that is in the trash", () => {
    expect(callOf([result, result])).toEqual({
      tool: "dewey_store_fiedler_result",
      args: { ...row, follow_to_trash: true },
      deliveries: 1,
      messages: 0,
    });
  });

  test("stores the messages up to what is none, also in a conversation that is in the trash", () => {
    const [one, two, three] = [message("1"), message("2"), message("3")];
    expect(callOf([one, two, result, three])).toEqual({
      tool: "dewey_store_messages_bulk",
      args: { conversation_id: "c", follow_to_trash: true, messages: [one.message, two.message] },
      deliveries: 2,
      messages: 2,
    });
  });

  test("stores 500 messages at most, or as many as it may", () => {
    const many = Array.from({ length: 600 }, () => message("x"));
    expect(callOf(many)?.messages).toBe(500);
    expect(callOf(many, 7)?.messages).toBe(7);
  });

  test("stores four million characters at most, or one message that has more", () => {
    const large = message("x".repeat(1_500_000));
    expect(callOf([large, large, large])?.messages).toBe(2);
    expect(callOf([message("x".repeat(5_000_000)), message("x")])?.messages).toBe(1);
    const exact = message("x".repeat(2_000_000 - '{"a":1}'.length));
    expect(callOf([exact, exact])?.messages).toBe(2);
    expect(callOf([exact, exact, message("")])?.messages).toBe(2);
  });
});

test("a delivery's characters are those of its content and its metadata, or what a call adds to one that has neither", () => {
  expect(charactersOf(message("four"))).toBe(4 + '{"a":1}'.length);
  expect([charactersOf(begin), charactersOf(result)]).toEqual([1000, 1000]);
});

describe("a message larger than the largest frame", () => {
  const contentOf = (content: string) => {
    const messages = callOf([message(content)])?.args["messages"] as { content: string; metadata: object }[];
    return messages[0];
  };

  test("because JSON writes its content longer than it came is cut to what fits, and says how long it was", () => {
    // JSON writes U+0001 as six characters.
    const content = "\u0001".repeat(Math.ceil(MAX_FRAME_BYTES / 6));
    const cut = contentOf(content);
    expect(cut?.metadata).toEqual({ a: 1, cut_from_characters: content.length });
    expect(JSON.stringify(cut).length).toBeWithin(MAX_FRAME_BYTES / 3, MAX_FRAME_BYTES - 900);
  });

  test("is never cut within a character", () => {
    // The cut falls on an odd place, which is within a pair of surrogates here.
    const content = `${"😀".repeat(MAX_FRAME_BYTES / 16)}${"\u0001".repeat(MAX_FRAME_BYTES / 7)}`;
    const cut = contentOf(content);
    expect(cut?.content.isWellFormed()).toBe(true);
    expect(cut?.content.length).toBeLessThan(content.length);
  });

  test("only by the worst that JSON could make of it stays whole", () => {
    const content = "x".repeat(MAX_FRAME_BYTES / 4);
    expect(contentOf(content)?.content.length).toBe(content.length);
  });
});
