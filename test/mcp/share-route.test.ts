import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { html, jsonl, markdown } from "../../src/capture/export.ts";
import { stderrLog } from "../../src/log.ts";
import { handleShare } from "../../src/mcp/share-route.ts";
import { createRedactor, noRedactor } from "../../src/store/redact/redact.ts";
import type { Redactor } from "../../src/store/redact/redact.ts";
import { Workshop } from "../../src/store/workshop/workshop.ts";
import { testListener } from "../support/listener.ts";
import { engines } from "../support/postgres.ts";
import { quiet } from "../support/quiet.ts";
import { trueCases } from "../support/secrets.ts";

const sharing = { formats: { html, markdown, json: jsonl }, workshop: new Workshop(createRedactor(), quiet) };
let served: Awaited<ReturnType<typeof testListener>>;
let id: string;
/** More than one page of a share. */
const TURNS = 1203;
const secret = trueCases[0]?.secret ?? "";

beforeAll(async () => {
  const [engine] = engines;
  if (!engine) throw new Error("there is no PostgreSQL");
  // The store of these tests cuts nothing, as one whose redaction was turned off.
  served = await testListener(engine, { listener: { sharing }, store: { redactor: noRedactor } });
  const { store } = served;
  ({ conversation_id: id } = await store.conversations.begin({
    metadata: { source: "claude-code", title: `Café: the key ${secret}` },
  }));
  await store.messages.storeBulk({
    conversation_id: id,
    messages: Array.from({ length: TURNS }, (_, n) => ({
      role: "user",
      content:
        n === 6 ? `the token is ${secret} <script src="https://evil.example/x.js"></script>` : `turn number ${n + 1}.`,
    })),
  });
});
afterAll(() => served[Symbol.asyncDispose]());

const share = (query: Record<string, string>, headers = {}) => {
  const url = new URL("/share", served.httpUrl);
  url.search = new URLSearchParams({ conversation_id: id, ...query }).toString();
  return fetch(url, { headers });
};
const shared = async (query: Record<string, string>) => (await share(query)).text();

describe("sharing a conversation", () => {
  test("gives all of it as a file, in each format, in the order of its turns", async () => {
    for (const [format, type, ending] of [
      ["html", "text/html", "html"],
      ["markdown", "text/markdown", "md"],
      ["json", "application/x-ndjson", "jsonl"],
    ] as const) {
      const response = await share({ format });
      expect(response.headers.get("content-type")).toStartWith(type);
      expect(response.headers.get("content-disposition")).toMatch(
        new RegExp(`^attachment; filename="cafe-[a-z0-9-]+\\.${ending}"$`),
      );
      const numbers = [...(await response.text()).matchAll(/turn number (\d+)\./g)].map(([, n]) => Number(n));
      expect(numbers).toEqual(Array.from({ length: TURNS }, (_, n) => n + 1).filter((n) => n !== 7));
    }
  });

  test("gives a range of turns alone", async () => {
    for (const [from, to] of [
      ["3", "5"],
      ["499", "502"],
      ["1200", "9999"],
    ] as const) {
      const text = await shared({ format: "markdown", from, to });
      const turns = [...text.matchAll(/^## (\d+) /gm)].map(([, turn]) => Number(turn));
      expect([turns[0], turns.at(-1)]).toEqual([Number(from), Math.min(Number(to), TURNS)]);
      expect(turns).toHaveLength(Math.min(Number(to), TURNS) - Number(from) + 1);
    }
  });

  test("cuts secrets again, from texts, title and file name", async () => {
    for (const format of ["html", "markdown", "json"]) {
      const response = await share({ format });
      const all = `${await response.text()} ${response.headers.get("content-disposition")}`.toLowerCase();
      expect(all).toContain("the token is ");
      expect(all).not.toContain(secret.toLowerCase());
    }
  });

  test("lets others have their turn between the messages of a page", async () => {
    let turns = 0;
    const ticking = setInterval(() => (turns += 1), 1);
    const seen: number[] = [];
    const slow: Redactor = {
      ...sharing.workshop.redactor,
      text(text, found) {
        if (text.startsWith("turn number")) {
          seen.push(turns);
          Bun.sleepSync(30);
        }
        return sharing.workshop.redactor.text(text, found);
      },
    };
    const url = new URL(`/share?conversation_id=${id}&format=markdown&from=1&to=3`, served.httpUrl);
    const response = await handleShare(new Request(url.href), served.store, stderrLog("error"), {
      ...sharing,
      workshop: new Workshop(slow, quiet),
    });
    await response.text();
    clearInterval(ticking);
    expect(seen).toHaveLength(3);
    expect(new Set(seen).size).toBe(3);
  });

  test("loads and runs nothing from elsewhere", async () => {
    const text = await shared({ format: "html" });
    expect(text).toContain("default-src 'none'");
    expect(text).not.toMatch(/<(?:script|link|img|iframe)\b/i);
  });

  test("is what an import takes", async () => {
    const rows = (await shared({ format: "json" }))
      .trim()
      .split("\n")
      .map((row) => JSON.parse(row) as { type?: string });
    expect(rows.filter(({ type }) => type === "message")).toHaveLength(TURNS);
    expect(rows.find(({ type }) => type === "conversation")).toMatchObject({ conversation_id: id });
  });

  test("names what is wrong, and gives no file then", async () => {
    const unknown = "00000000-0000-7000-8000-000000000000";
    for (const [status, query] of [
      [400, { format: "pdf" }],
      [400, { format: "html", from: "x" }],
      [400, { format: "html", conversation_id: "no id" }],
      [404, { format: "html", conversation_id: unknown }],
    ] as const) {
      const response = await share(query);
      expect([query, response.status, response.headers.get("content-disposition")]).toEqual([query, status, null]);
    }
    const foreign = await share({ format: "html" }, { "sec-fetch-site": "cross-site" });
    expect(foreign.status).toBe(403);
  });
});
