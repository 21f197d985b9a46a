import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { conversationIdOf, conversationIdsOf } from "../../src/cli/conversation-id.ts";
import { lastListing, rememberListing } from "../../src/cli/last-listing.ts";
import { terminalOf } from "../../src/cli/terminal.ts";
import { failure } from "../support/failure.ts";
import { temporaryHome } from "../support/home.ts";

const home = temporaryHome();
afterAll(() => home[Symbol.dispose]());

const ids = [
  "3f2a91c4-1b7e-4d5a-9c3e-000000000001",
  "3f2a91c4-ffff-4d5a-9c3e-000000000002",
  "7c0ffee1-2222-4333-8444-000000000003",
];
const trashed = "9d0ffee1-2222-4333-8444-000000000004";

/** The tool, as far as it is called: by the beginning of an id, latest first. */
const call = (_: string, args: Record<string, unknown>) => {
  const all = args["in_trash"] === true ? [trashed] : ids;
  const beginning = typeof args["id_prefix"] === "string" ? args["id_prefix"].toLowerCase() : "";
  const found = all.filter((id) => id.startsWith(beginning));
  const conversations = found
    .slice(0, Number(args["limit"]))
    .map((id) => ({ id, title: `title of ${id[9]}`, session_id: null }));
  return Promise.resolve({ conversations, total: found.length }) as Promise<never>;
};
const terminal = terminalOf({ colour: false, pager: undefined, editor: "vi" });
const asking = { call, terminal, dataDir: home.path };
const id = (given: string, where?: Parameters<typeof conversationIdOf>[2]) => conversationIdOf(asking, given, where);

describe("a conversation is named", () => {
  test("by its id, and by a beginning that no other id shares", async () => {
    expect(await id((ids[1] ?? "").toUpperCase())).toBe(ids[1] ?? "");
    expect(await id("7C0f")).toBe(ids[2] ?? "");
    expect(await id("3f2a91c4-f")).toBe(ids[1] ?? "");
    expect(await id("9d0f", "in the trash")).toBe(trashed);
    expect(await id("9d0f", "anywhere")).toBe(trashed);
    expect(await id("7c0f", "anywhere")).toBe(ids[2] ?? "");
    expect(await failure(id("9d0f"))).toMatchObject({ code: "not_found" });
  });

  test("as the last one", async () => {
    expect(await id("last")).toBe(ids[0] ?? "");
  });

  test("by its number in the list shown last", async () => {
    expect(await failure(id("1"))).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("no list with entries was shown"),
    });
    rememberListing(home.path, [ids[2] ?? "", ids[0] ?? ""]);
    expect(await id("2")).toBe(ids[0] ?? "");
    for (const number of ["0", "3", "9999"])
      expect(await failure(id(number))).toMatchObject({
        message: expect.stringContaining("the last list has 2 entries"),
      });
  });

  test("but not by a beginning that several share, which are then listed, or none has", async () => {
    const several = await failure(id("3f2a"));
    expect(several).toMatchObject({ code: "invalid", field: "ID" });
    expect(several.message).toBe(
      `2 ids begin with 3f2a; give more of one:\n  ${ids[0]}  title of 1\n  ${ids[1]}  title of f`,
    );
    expect(await failure(id("abcd"))).toMatchObject({
      code: "not_found",
      message: expect.stringContaining("begins with abcd"),
    });
    expect(await failure(id("nope"))).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("first characters of its id"),
    });
  });
});

test("several are all sought before the first is returned, and each is returned once", async () => {
  const [first = "", , third = ""] = ids;
  expect(await conversationIdsOf(asking, [first, "7c0f", first.toUpperCase(), "last"])).toEqual([first, third]);
  for (const wrong of ["abcd", "7c0ffee1-2222-4333-8444-999999999999"])
    expect(await failure(conversationIdsOf(asking, [first, wrong]))).toMatchObject({ code: "not_found", field: "ID" });
});

test("a data folder that cannot be written costs only the numbers", () => {
  const file = join(home.path, "last-list.json");
  rememberListing(file, ids);
  expect(lastListing(file)).toEqual([]);
});
