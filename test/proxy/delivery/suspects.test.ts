import { expect, test } from "bun:test";
import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { Suspects } from "../../../src/proxy/delivery/suspects.ts";
import type { Delivery } from "../../../src/proxy/delivery/record.ts";
import { spoolFolder } from "../../support/spool-folder.ts";

const DAY_MS = 86_400_000;
const delivery = (message_id: string) => ({ kind: "message", message: { message_id } }) as unknown as Delivery;

test("the count of a record that the spool no longer keeps is removed, and a younger one is not", () => {
  using folder = spoolFolder();
  const first = new Suspects(folder.path, DAY_MS);
  for (const id of ["old", "young"]) first.isGuilty(delivery(id), true);
  const files = join(folder.path, "suspects");
  const before = new Date(Date.now() - 2 * DAY_MS);
  utimesSync(join(files, "old"), before, before);
  const second = new Suspects(folder.path, DAY_MS);
  expect(readdirSync(files)).toEqual(["young"]);
  expect([second.has(delivery("old")), second.has(delivery("young"))]).toEqual([false, true]);
});

test("nothing is left in the spool once no record is suspect", () => {
  using folder = spoolFolder();
  const suspects = new Suspects(folder.path, DAY_MS);
  for (const id of ["one", "two"]) suspects.isGuilty(delivery(id), true);
  suspects.forget(delivery("one"));
  expect(readdirSync(join(folder.path, "suspects"))).toEqual(["two"]);
  suspects.forget(delivery("two"));
  expect(readdirSync(folder.path)).toEqual([]);
});
