import { expect, test } from "bun:test";
import { Importer } from "../../src/capture/importer.ts";
import { DeweyError } from "../../src/errors.ts";
import { sentHash } from "../../src/sent-hash.ts";
import type { Json } from "../../src/wire/frame.ts";

interface Sent {
  message_id: string;
  role: string;
  content: string;
  metadata?: Json;
}

/** A server that knows messages, and whose calls fail behind their first message when they are told to. */
function server(...known: Sent[]) {
  const stored = new Map(known.map((message) => [message.message_id, message]));
  const one = {
    isFailing: false,
    call: (tool: string, { messages }: Json): Promise<Json> => {
      const given = (messages ?? []) as Sent[];
      if (tool === "dewey_list_known_messages") {
        const hashOf = ({ role, content, metadata }: Sent) => sentHash(role, content, metadata);
        const isThere = (asked: { id: string; hash: string }) => {
          const message = stored.get(asked.id);
          return message !== undefined && hashOf(message) === asked.hash;
        };
        const asked = messages as { id: string; hash: string }[];
        return Promise.resolve({ missing: asked.flatMap((each, place) => (isThere(each) ? [] : [place])) });
      }
      const before = given.filter((each) => stored.has(each.message_id));
      const now = given.filter((each) => !stored.has(each.message_id));
      const reply = {
        stored: now.length,
        known: before.length,
        known_ids: before.map((each) => each.message_id),
        changed: before
          .filter((each) => stored.get(each.message_id)?.content !== each.content)
          .map((each) => each.message_id),
      };
      const fails = one.isFailing && now.length > 1;
      for (const each of fails ? now.slice(0, 1) : now) stored.set(each.message_id, each);
      return fails ? Promise.reject(new DeweyError("internal", "out of order")) : Promise.resolve(reply);
    },
  };
  return one;
}

const said = (message_id: string, content: string, metadata: Json = {}) =>
  ({ message_id, role: "user", content, metadata }) as const;

async function imported(call: (tool: string, args: Json) => Promise<Json>, ...messages: ReturnType<typeof said>[]) {
  const importer = new Importer({
    call,
    onRefused: (_, error) => {
      throw error;
    },
  });
  for (const message of messages)
    await importer.take({ kind: "message", conversation: "c", message }, { source: "", row: 1 });
  await importer.finish();
  return importer.counts;
}

test("messages are counted as new, known, or second versions, and what programs note for themselves apart", async () => {
  const { call } = server(said("a", "one"), said("b", "two"), said("t", "a title", { bookkeeping: true }));
  const counts = await imported(
    call,
    said("a", "one"),
    said("b", "two, longer"),
    said("c", "three"),
    said("c", "three"),
    said("t", "a title", { bookkeeping: true }),
    said("u", "another title", { bookkeeping: true }),
  );
  expect(counts).toMatchObject({ stored: 1, versions: 1, known: 2, notes: 1 });
});

test("what a call has stored before it failed is counted as what it is", async () => {
  const one = server(said("a", "one"), said("b", "two"));
  one.isFailing = true;
  expect(await imported(one.call, said("a", "ONE"), said("b", "TWO"))).toMatchObject({
    stored: 0,
    versions: 2,
    known: 0,
  });
  expect(await imported(one.call, said("x", "1"), said("y", "2"), said("t", "3", { bookkeeping: true }))).toMatchObject(
    {
      stored: 2,
      versions: 0,
      known: 0,
      notes: 1,
    },
  );
});
