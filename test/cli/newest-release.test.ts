import { expect, test } from "bun:test";
import { newestRelease } from "../../src/cli/newest-release.ts";
import type { Ask } from "../../src/cli/newest-release.ts";
import { failure } from "../support/failure.ts";

const repository = "https://example.org/ana/dewey";

/** Answers each address with a redirect to the next one; anything else is not found. */
function redirects(to: Record<string, string>): { ask: Ask; asked: string[] } {
  const asked: string[] = [];
  const ask: Ask = (url, { method, redirect }) => {
    asked.push(`${method} ${redirect} ${url}`);
    const location = to[url];
    return Promise.resolve(
      new Response(null, location === undefined ? { status: 404 } : { status: 302, headers: { location } }),
    );
  };
  return { ask, asked };
}

test("the newest release is the one whose tag the answer names", async () => {
  const { ask, asked } = redirects({ [`${repository}/releases/latest`]: `${repository}/releases/tag/v0.10.2` });
  expect(await newestRelease(repository, ask)).toBe("0.10.2");
  expect(asked).toEqual([`HEAD manual ${repository}/releases/latest`]);
});

test("a repository that has moved is followed, over TLS only", async () => {
  const moved = "https://example.org/bea/dewey/releases/latest";
  const there = redirects({ [`${repository}/releases/latest`]: moved, [moved]: "/bea/dewey/releases/tag/v1.2.3" });
  expect(await newestRelease(repository, there.ask)).toBe("1.2.3");
  const open = redirects({ [`${repository}/releases/latest`]: "http://example.org/bea/dewey/releases/latest" });
  expect(await failure(newestRelease(repository, open.ask))).toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("without TLS"),
  });
  expect(open.asked).toHaveLength(1);
});

test("redirects in a circle, and a repository without releases, end with an error", async () => {
  const circle = redirects({ [`${repository}/releases/latest`]: `${repository}/releases/latest` });
  expect(await failure(newestRelease(repository, circle.ask))).toMatchObject({ code: "not_found" });
  expect(circle.asked.length).toBeLessThanOrEqual(5);
  expect(await failure(newestRelease(repository, redirects({}).ask))).toMatchObject({ code: "not_found" });
});

test("a host that cannot be reached is named", async () => {
  const ask: Ask = () => Promise.reject(new Error("ECONNREFUSED"));
  expect(await failure(newestRelease(repository, ask))).toMatchObject({
    code: "unavailable",
    message: "example.org cannot be reached; try again later",
  });
});
