import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { binary, run, start, startServe } from "../../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import type { Running } from "../../support/binary.ts";
import { Rpc, until } from "../../support/rpc.ts";
import { openTerminal, tmux } from "../../support/tmux.ts";

const MESSAGES = 4000;
const home = temporaryHome();
const secret = { DEWEY_TOKEN: "secret-token" };
const headers = { authorization: "Bearer secret-token" };
let server: Running;
let url: string;

beforeAll(async () => {
  ({ running: server, url } = await startServe(home.path, secret));
  const rpc = await Rpc.open(url, { headers });
  await rpc.initialize();
  for (let from = 0; from < MESSAGES; from += 1000) {
    await rpc.tool("dewey_store_messages_bulk", {
      messages: Array.from({ length: 1000 }, (_, n) => ({
        role: "user",
        content: `Nummer ${from + n}: ${"zwei Häuser am Fluss und viele Worte ".repeat(10)}`,
      })),
    });
  }
  rpc.close();
});

afterAll(async () => {
  await server.stop();
  home[Symbol.dispose]();
});

const env = () => ({ ...plainEnvironment(home.path), ...secret, DEWEY_URL: url });
const dewey = (...args: string[]) => run(args, env());
const route = (path: string) => new URL(path, url.replace("ws:", "http:"));

async function state(): Promise<{ language: string; under_way: boolean; walked: number; total: number }> {
  return (await fetch(route("/reindex/progress"), { method: "POST", headers })).json() as ReturnType<typeof state>;
}

async function total(query: string): Promise<number> {
  return JSON.parse((await dewey("search", "--json", query)).stdout).total;
}

describe("dewey reindex", () => {
  test("survives the server's death half-way: messages stored before, during and after it are found throughout", async () => {
    expect([await total("Haus"), await total("Häuser")]).toEqual([0, MESSAGES]);
    const following = start(["reindex", "--search-language", "german"], env());
    await until("a first step", async () => (await state()).walked > 0);
    const rpc = await Rpc.open(url, { headers });
    await rpc.initialize();
    await rpc.tool("dewey_store_messages_bulk", { messages: [{ role: "user", content: "ein Haus mehr" }] });
    server.process.kill("SIGKILL");
    expect(await following.process.exited).toBe(69);
    expect(following.stderr()).toContain("what is done is kept");
    await server.process.exited;
    ({ running: server, url } = await startServe(home.path, { ...secret, DEWEY_SEARCH_LANGUAGE: "german" }));
    const again = await state();
    expect(again.walked).toBeGreaterThan(0);
    expect(await total("Häuser")).toBe(MESSAGES + 1);
    const { stdout, stderr, code } = await dewey("reindex");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^All 4,001 messages can be searched in german\n$/m);
    expect(await state()).toMatchObject({ language: "german", under_way: false, walked: MESSAGES + 1 });
    expect([await total("Haus"), await total("Flüsse")]).toEqual([MESSAGES + 1, MESSAGES]);
    rpc.close();
  });

  test("reports progress in lines without a terminal, and in JSON for programs", async () => {
    const { stdout, code } = await dewey("reindex");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^0 of 4,001 messages in german\n(.* of .*\n)*All 4,001 messages can be searched in german\n$/,
    );
    const said = await dewey("reindex", "--json");
    expect(JSON.parse(said.stdout)).toMatchObject({ language: "german", earlier: [], under_way: false, walked: 4001 });
  });

  test("refuses an unknown language, and names the known ones", async () => {
    const before = await state();
    expect(await dewey("reindex", "--search-language", "klingon")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^dewey: the search language should be .*\bfrench\b.*, not "klingon"; .*--search-language\n$/,
      ),
    });
    const refused = await fetch(route("/reindex?language=klingon"), { method: "POST", headers });
    expect(await refused.json()).toMatchObject({ code: "invalid", field: "language" });
    expect(await dewey("reindex", "--search-language", "no; drop")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--search-language should be PostgreSQL's name of a language"),
    });
    expect(await state()).toEqual(before);
  });

  test("is refused to requests from web pages or without the token", async () => {
    expect((await fetch(route("/reindex"), { method: "POST" })).status).toBe(401);
    const foreign = { ...headers, origin: "https://evil.example" };
    expect((await fetch(route("/reindex"), { method: "POST", headers: foreign })).status).toBe(403);
    expect((await fetch(route("/reindex"), { method: "PUT", headers })).status).toBe(405);
    expect(await run(["reindex"], { ...env(), DEWEY_TOKEN: "wrong" })).toMatchObject({ code: 77 });
    expect((await state()).under_way).toBe(false);
  });

  describe.skipIf(tmux === null)("on a terminal", () => {
    test("shows a bar, and can be interrupted without stopping the work", async () => {
      using screen = openTerminal([binary, "reindex", "--search-language", "english"], env());
      await screen.until(/[█░]{24} +\d+ % {2}[\d,]+ of 4,001 messages in english/);
      screen.type("C-c");
      expect(await screen.until(/\[ended 69\]/)).toContain("dewey reindex shows");
      using second = openTerminal([binary, "reindex", "--search-language", "english"], env());
      expect(await second.until(/\[ended 0\]/)).toContain("All 4,001 messages can be searched in english");
      expect([await total("Haus"), await total("Häuser")]).toEqual([1, MESSAGES]);
    });
  });
});

describe("DEWEY_SEARCH_LANGUAGE", () => {
  test("causes a warning when the database has another, and is refused when it is unknown", async () => {
    await server.stop();
    const wrong = await run(["serve", "--port", "0", "--data-dir", join(home.path, "data")], {
      ...plainEnvironment(home.path),
      DEWEY_SEARCH_LANGUAGE: "klingon",
    });
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/should be .*\bgerman\b.*, not "klingon"; .*DEWEY_SEARCH_LANGUAGE/),
    });
    ({ running: server, url } = await startServe(home.path, { ...secret, DEWEY_SEARCH_LANGUAGE: "german" }));
    expect(server.stderr()).toMatch(/"level":"warn".*dewey reindex.*DEWEY_SEARCH_LANGUAGE=english/);
    const health = (await (await fetch(route("/healthz"), { headers })).json()) as { search: object };
    expect(health.search).toMatchObject({ language: "english" });
  });
});
