import { describe, expect, test } from "bun:test";
import bundlePath from "../../dist/page/bundle.page" with { type: "file" };

/** What a person waits for at the first opening: the page, its style and its code, without what is loaded later. */
const MOST_FIRST_BYTES = 120_000;

describe("the bundle of the page", () => {
  test("is small enough to open at once", async () => {
    const files = (await Bun.file(bundlePath).json()) as Record<string, { gzip: string }>;
    const bytesOf = (name: string) => Buffer.from(files[name]?.gzip ?? "", "base64").length;
    const html = new TextDecoder().decode(Bun.gunzipSync(Buffer.from(files["index.html"]?.gzip ?? "", "base64")));
    const first = ["index.html", ...[...html.matchAll(/"(\/page\/[^"]+)"/g)].map(([, name = ""]) => name)];
    expect(first.length).toBe(6);
    for (const name of first) expect([name, bytesOf(name) > 0]).toEqual([name, true]);
    expect(first.reduce((sum, name) => sum + bytesOf(name), 0)).toBeLessThan(MOST_FIRST_BYTES);
    // Highlighting comes when code is shown.
    expect(Object.keys(files).some((name) => name.startsWith("/page/highlighting-"))).toBe(true);
  });
});
