import { expect, test } from "bun:test";
import { one } from "../../../src/store/database/one.ts";
import { failure } from "../../support/failure.ts";

test("the only row of a statement is returned", async () => {
  expect(await one(Promise.resolve([{ name: "a" }]))).toEqual({ name: "a" });
});

test("a statement without a row is an internal error", async () => {
  expect(await failure(one(Promise.resolve([])))).toMatchObject({ code: "internal" });
});
