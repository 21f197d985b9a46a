import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run, start } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";

/** A demonstration whose folder for temporary files is its own. */
function demonstration(home: string) {
  const temporary = join(home, "tmp");
  mkdirSync(temporary);
  const env = { ...plainEnvironment(home), TMPDIR: temporary };
  return { running: start(["demo"], env), env, left: () => readdirSync(temporary) };
}

describe("dewey demo", () => {
  test("shows invented talks at an address of its own, and leaves nothing behind", async () => {
    using home = temporaryHome();
    const { running, env, left } = demonstration(home.path);
    await using _ = running;
    const [, address = ""] = await running.until("stdout", /The page is at (\S+)/);
    const page = await fetch(address, { headers: { accept: "text/html" } });
    expect(await page.text()).toStartWith("<!doctype html>");
    const list = await run(["list", "--json"], { ...env, DEWEY_URL: address.replace("http", "ws") });
    expect((JSON.parse(list.stdout) as { total: number }).total).toBeGreaterThan(10);
    expect([await running.stop("SIGINT"), left()]).toEqual([0, []]);
  });

  test("ends without a page when it is interrupted before that is there", async () => {
    using home = temporaryHome();
    const { running, left } = demonstration(home.path);
    await using _ = running;
    await running.until("stdout", /Preparing/);
    expect([await running.stop("SIGINT"), running.stdout().includes("The page is at"), left()]).toEqual([0, false, []]);
    expect(existsSync(join(home.path, ".local"))).toBe(false);
  });
});
