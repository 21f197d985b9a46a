import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Store } from "../../src/store/store.ts";
import { call } from "../support/imports.ts";
import { engines, testStore } from "../support/postgres.ts";

describe.each(engines)("the files that are stored in full, $name", (engine) => {
  let store: Store & AsyncDisposable;
  beforeAll(async () => {
    store = await testStore(engine);
  });
  afterAll(() => store[Symbol.asyncDispose]());

  const digestOf = (text: string) => Bun.SHA256.hash(text, "hex");
  const file = digestOf("a path");
  const conversation = async () => String((await call(store, "dewey_begin_conversation", {}))["conversation_id"]);
  const note = (conversations: string[], digest = digestOf("content"), told: object = { rows: 1 }) =>
    call(store, "dewey_note_imported_files", { files: [{ file, digest, conversations, told }] });
  const listed = async () => (await call(store, "dewey_list_imported_files", { files: [file] }))["files"];

  test("are remembered as they were last", async () => {
    const ids = [await conversation(), await conversation()];
    expect(await listed()).toEqual([]);
    expect(await note(ids)).toEqual({ noted: 1 });
    expect(await note(ids, digestOf("more"), { rows: 2 })).toEqual({ noted: 1 });
    expect(await listed()).toEqual([{ file, digest: digestOf("more"), told: { rows: 2 } }]);
  });

  test("are remembered while a conversation is in the trash, and forgotten when it is deleted for good", async () => {
    const [one, other] = [await conversation(), await conversation()];
    await note([one, other]);
    await call(store, "dewey_delete_conversation", { conversation_id: other });
    expect(await listed()).toHaveLength(1);
    await call(store, "dewey_delete_conversation", { conversation_id: other, force: true });
    expect(await listed()).toEqual([]);
    expect(await note([one, other])).toEqual({ noted: 0 });
    expect(await listed()).toEqual([]);
  });

  test("hold no secret", async () => {
    const secret = `ghp_${"a1B2c3D4e5F6".repeat(3)}`;
    await note([await conversation()], digestOf("content"), { faults: [{ reason: `Unexpected token=${secret}` }] });
    expect(JSON.stringify(await listed())).not.toContain(secret);
  });
});
