import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, startServe } from "../../support/binary.ts";
import type { Running } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";

const home = temporaryHome();
const secret = { DEWEY_TOKEN: "secret-token" };
let server: Running;
let url: string;
let page: URL;

beforeAll(async () => {
  ({ running: server, url } = await startServe(home.path, secret));
  page = new URL("/", url.replace("ws:", "http:"));
});
afterAll(async () => {
  await server.stop();
  home[Symbol.dispose]();
});

const env = () => ({ ...plainEnvironment(home.path), ...secret, DEWEY_URL: url });

async function entered(address: string): Promise<number> {
  const code = new URL(address).hash.replace("#code=", "");
  const request = { method: "POST", body: JSON.stringify({ code }), headers: { origin: page.origin } };
  return (await fetch(new URL("/session", page), request)).status;
}

describe("dewey open", () => {
  test("prints an address that signs in once when there is no browser", async () => {
    const { stdout, code } = await run(["open"], env());
    expect([code, stdout.startsWith(`${page.href}#code=`)]).toEqual([0, true]);
    expect(stdout).not.toContain(secret.DEWEY_TOKEN);
    expect([await entered(stdout.trim()), await entered(stdout.trim())]).toEqual([204, 401]);
  });

  test.skipIf(process.platform !== "linux")(
    "hands the address to the system's browser, and keeps the code out of sight",
    async () => {
      const folder = join(home.path, "programs");
      const seen = join(home.path, "opened");
      mkdirSync(folder);
      const opener = join(folder, "xdg-open");
      writeFileSync(opener, `#!/bin/sh\nprintf %s "$1" > ${seen}\n`);
      chmodSync(opener, 0o755);
      const { PATH } = env() as { PATH?: string };
      const { stdout } = await run(["open"], { ...env(), DISPLAY: ":0", PATH: `${folder}:${PATH ?? "/usr/bin:/bin"}` });
      expect(stdout).toBe(`Opened ${page.href}\n`);
      expect(await entered(readFileSync(seen, "utf8"))).toBe(204);
    },
  );

  test("prints the address when the browser cannot be started", async () => {
    const { stdout } = await run(["open"], { ...env(), DISPLAY: ":0", PATH: "/nowhere" });
    expect(stdout).toStartWith(`${page.href}#code=`);
  });

  test("needs the server's token", async () => {
    const { code, stderr } = await run(["open", "--print"], { ...env(), DEWEY_TOKEN: "wrong" });
    expect(stderr).toContain("rejects the token");
    expect(code).not.toBe(0);
  });
});
