import { describe, expect, test } from "bun:test";
import { DeweyReader, EXPORT_HEADER } from "../../src/capture/dewey.ts";

const take = (row: object) => new DeweyReader().take(JSON.stringify(row));
const begin = { conversation_id: "c", session_id: "s", created_at: "2026-01-01T00:00:00Z", metadata: null };
const message = { message_id: "m", role: "user", content: "hi", turn_number: 2, metadata: { a: [1] } };
const context = { name: "n", content: "text", is_active: false };

describe("a row of an export", () => {
  test("becomes what it was before the export", () => {
    expect(new DeweyReader().take(EXPORT_HEADER)).toEqual([]);
    expect(take({ type: "conversation", ...begin })).toEqual([{ kind: "conversation", begin }]);
    expect(take({ type: "message", conversation_id: "c", ...message })).toMatchObject([
      { kind: "message", conversation: "c", message },
    ]);
    expect(take({ type: "startup_context", ...context })).toEqual([{ kind: "context", context }]);
  });

  test("keeps a field that it does not know, for the store to judge", () => {
    expect(take({ type: "conversation", ...begin, later: 1 })).toEqual([
      { kind: "conversation", begin: { ...begin, later: 1 } as typeof begin },
    ]);
  });

  test("is broken when a field is missing or wrong, and names each such field", () => {
    const reasonOf = (row: object) => take(row).map((each) => (each.kind === "broken" ? each.reason : each.kind));
    expect(reasonOf({ type: "message", ...message, content: 7, role: "robot" })).toEqual([
      "conversation_id should be a text; role should be user, assistant, system or tool; content should be a text",
    ]);
    expect(reasonOf({ type: "conversation", ...begin, session_id: null, metadata: [] })).toEqual([
      "session_id should be a text; metadata should be an object or null",
    ]);
    expect(reasonOf({ type: "startup_context", ...context, is_active: "no" })).toEqual([
      "is_active should be true or false",
    ]);
    expect(reasonOf({ type: "dewey_export", version: 2 })).toEqual([
      "version 2 of the form; this Dewey reads version 1",
    ]);
    expect(reasonOf({ type: "novelty" })).toEqual(['an export has no rows of type "novelty"']);
  });
});
