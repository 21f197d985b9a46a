import { expect, test } from "bun:test";
import { parseSnapshot } from "../../src/store/snapshot.ts";

test("a snapshot is read as PostgreSQL writes it", () => {
  expect(parseSnapshot("10:20:")).toEqual({ end: 20n, inFlight: [] });
  expect(parseSnapshot("10:20:10,12,19")).toEqual({ end: 20n, inFlight: [10n, 12n, 19n] });
  expect(parseSnapshot("7:7:")).toEqual({ end: 7n, inFlight: [] });
});

test("a snapshot that PostgreSQL would refuse is none", () => {
  const broken = ["", "1", "1:2", "0:5:", "5:3:", "5:9:4", "5:9:9", "5:9:8,7", "5:9:,", "5:9:6,", "5:9:a", "1:2:\0"];
  for (const text of [...broken, `1:${"9".repeat(20)}:`, `5:9:${"6,".repeat(200_000)}6`]) {
    expect([text.slice(0, 20), parseSnapshot(text)]).toEqual([text.slice(0, 20), undefined]);
  }
});
