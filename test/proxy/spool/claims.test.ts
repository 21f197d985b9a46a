import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { Claims } from "../../../src/proxy/spool/claims.ts";
import { viewFrame } from "../../../src/wire/frame.ts";
import { spoolFolder } from "../../support/spool-folder.ts";

const call = (toolUseId: unknown) => ({
  id: 1,
  method: "tools/call",
  params: { name: "x", _meta: { "claudecode/toolUseId": toolUseId } },
});
const covers = (claims: Claims, message: unknown) => claims.covers(viewFrame(JSON.stringify(message)));

test("a call is covered once its tool use is claimed, by any process", () => {
  using folder = spoolFolder();
  const claims = new Claims(folder.path);
  expect(covers(claims, call("toolu_1"))).toBe(false);
  new Claims(folder.path).claim("toolu_1");
  expect(covers(claims, call("toolu_1"))).toBe(true);
  expect(covers(claims, call("toolu_2"))).toBe(false);
  // Codex has a name of its own for the id.
  const codex = { id: 1, method: "tools/call", params: { name: "x", _meta: { callId: "toolu_1", progressToken: 1 } } };
  expect(covers(claims, codex)).toBe(true);
  expect(covers(claims, [{ method: "n" }, call("toolu_1")])).toBe(true);
  expect(covers(claims, [call("toolu_2")])).toBe(false);
  expect(statSync(join(folder.path, "claims")).mode & 0o777).toBe(0o700);
});

test("only calls with a tool use id are covered", () => {
  using folder = spoolFolder();
  const claims = new Claims(folder.path);
  claims.claim("toolu_1");
  const { id: _id, ...notification } = call("toolu_1");
  const others = [
    notification,
    { id: 1, method: "tools/call" },
    { id: 1, method: "tools/call", params: [] },
    { id: 1, method: "tools/call", params: { _meta: "toolu_1" } },
    call(1),
    { id: 1, result: {} },
  ];
  for (const each of others) expect(covers(claims, each)).toBe(false);
});

test("an id with special characters, or of more than 200, is never a file name and covers nothing", () => {
  using folder = spoolFolder();
  const claims = new Claims(folder.path);
  for (const id of ["../out", "a/b", "", ".", "a b", "x".repeat(201)]) {
    claims.claim(id);
    expect(covers(claims, call(id))).toBe(false);
  }
  expect(() => readdirSync(folder.path)).toThrow("ENOENT");
  claims.claim("x".repeat(200));
  expect(covers(claims, call("x".repeat(200)))).toBe(true);
});

test("a sweep removes claims older than its limit", () => {
  using folder = spoolFolder();
  const claims = new Claims(folder.path);
  claims.sweep(0);
  claims.claim("old");
  claims.claim("new");
  // Other files in the spool folder are not claims.
  mkdirSync(join(folder.path, "other"));
  const anHourAgo = Date.now() / 1000 - 3600;
  utimesSync(join(folder.path, "claims", "old"), anHourAgo, anHourAgo);
  claims.sweep(1_800_000);
  expect(readdirSync(join(folder.path, "claims"))).toEqual(["new"]);
  expect(readdirSync(folder.path).toSorted()).toEqual(["claims", "other"]);
});
