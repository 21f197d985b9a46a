import { describe, expect, test } from "bun:test";
import { hashedUuid, timedUuid } from "../src/uuid.ts";

// Ids of stored messages are made by these functions: another result would store every imported message twice.

describe("the UUID of a text", () => {
  test("of version 8 never changes", () => {
    expect(hashedUuid("Dewey")).toBe("f8ce9c2c-47d4-8eb0-994c-2d3daf19fb95");
    expect(hashedUuid("dewey")).not.toBe(hashedUuid("Dewey"));
  });

  test("of version 7 begins with its time, so that ids sort by it", () => {
    expect(timedUuid(0x0123456789ab, "Dewey")).toBe("01234567-89ab-78ce-9c2c-47d45eb0194c");
    expect(timedUuid(0x0123456789ac, "") > timedUuid(0x0123456789ab, "Dewey")).toBe(true);
  });
});
