import { describe, expect, test } from "bun:test";
import { DeweyError } from "../../../src/errors.ts";
import { extraMs, prepare } from "../../../src/store/append/append.ts";
import type { AppendOptions } from "../../../src/store/append/append.ts";
import type { NewMessage } from "../../../src/store/append/row.ts";
import { createRedactor, noRedactor } from "../../../src/store/redact/redact.ts";
import { searchable } from "../../../src/store/search/text.ts";

const options: AppendOptions = { single: false, followToTrash: false };
const conversation = "0190B000-0000-7000-8000-00000000000A";
const id = "0190B000-0000-7000-8000-00000000000B";

const prepared = (messages: NewMessage[], redactor = noRedactor) => prepare(conversation, messages, options, redactor);

/** The error that a call is refused with. */
function refused(messages: NewMessage[], chosen = options): DeweyError {
  try {
    prepare(conversation, messages, chosen, noRedactor);
  } catch (error) {
    if (error instanceof DeweyError) return error;
  }
  throw new Error("it was not refused");
}

test("a million characters fit in any deadline, and each million beyond adds a second", () => {
  expect([0, 1_000_000, 1_000_001, 2_000_000, 21_000_000].map(extraMs)).toEqual([0, 0, 1, 1000, 20_000]);
});

describe("messages of one call", () => {
  test("have the caller's ids in lower case, or new ones", () => {
    const { conversation: into, rows } = prepared([
      { role: "user", content: "a", message_id: id },
      { role: "user", content: "b" },
    ]);
    expect([into, rows[0]?.conversation, rows[0]?.id]).toEqual([
      conversation.toLowerCase(),
      conversation.toLowerCase(),
      id.toLowerCase(),
    ]);
    expect(rows[1]?.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("are one row when they occur twice, with the id in any case", () => {
    const first = { role: "user", content: "once", message_id: id };
    const { rows, rowOf } = prepared([
      first,
      { role: "user", content: "other" },
      { ...first, message_id: id.toLowerCase() },
    ]);
    expect([rows.map((row) => row.content), rowOf]).toEqual([
      ["once", "other"],
      [0, 1, 0],
    ]);
  });

  test("with one id and different contents are refused, naming the second", () => {
    const messages = ["a", "b"].map((content) => ({ role: "user", content, message_id: id }));
    expect(refused(messages)).toMatchObject({ code: "conflict", field: "messages[1].message_id" });
    expect(refused(messages, { ...options, single: true })).toMatchObject({ field: "message_id" });
  });

  test("are counted with everything stored of them", () => {
    const plain = { role: "user", content: "plain" };
    expect(prepared([plain]).characters).toBe(5);
    expect(prepared([plain, plain, { ...plain, metadata: { a: 1 } }]).characters).toBe(5 + 5 + 5 + 7);
    const odd = "nul \0 storeMessage";
    // The readable form, the exact form, and the searchable text.
    const readable = odd.replace("\0", "\uFFFD");
    const all = [readable, JSON.stringify(odd), searchable(readable) ?? ""];
    expect(prepared([{ role: "user", content: odd }]).characters).toBe(all.join("").length);
    expect(
      prepared([
        { ...plain, message_id: id },
        { ...plain, message_id: id },
      ]).characters,
    ).toBe(10);
  });

  test("may have turns up to a billion, so that numbers remain", () => {
    const at = (turn_number: number) => [{ role: "user", content: "x", turn_number }];
    expect(prepared(at(1_000_000_000)).rows[0]?.turn).toBe(1_000_000_000);
    expect(refused(at(1_000_000_001))).toMatchObject({ code: "invalid", field: "turn_number" });
  });

  test("are recognised by their text as sent, including secrets; absent metadata equals null", () => {
    const hash = (message: Omit<NewMessage, "role">, redactor = noRedactor) =>
      prepared([{ role: "user", message_id: id, ...message }], redactor).rows[0]?.hash;
    expect(hash({ content: "x", metadata: null })).toBe(hash({ content: "x" }));
    expect(hash({ content: "x", metadata: {} })).not.toBe(hash({ content: "x" }));
    const secret = (value: string) => ({ content: `password = "${value}"` });
    const redactor = createRedactor();
    expect(hash(secret("correct-horse-1"), redactor)).toBe(hash(secret("correct-horse-1")));
    expect(hash(secret("correct-horse-1"), redactor)).not.toBe(hash(secret("correct-horse-2"), redactor));
    expect(prepared([{ role: "user", content: "x" }]).rows[0]?.hash).toBeNull();
  });
});
