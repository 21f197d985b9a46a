import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { axeViolations } from "../support/axe.ts";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { testListener } from "../support/listener.ts";
import { engines } from "../support/postgres.ts";
import { answer, prompt, storeTalk } from "../support/talks.ts";

const TOKEN = "token-of-the-browser-tests";

describe.skipIf(browserPath === null)("where the server wants a token", () => {
  const browsing = fileBrowser();
  let served: Awaited<ReturnType<typeof testListener>>;
  let origin: string;

  beforeAll(async () => {
    const [engine] = engines;
    if (!engine) throw new Error("there is no PostgreSQL");
    served = await testListener(engine, { listener: { token: TOKEN } });
    origin = new URL(served.httpUrl).origin;
    await storeTalk(served.store, { title: "Behind the door", said: [prompt("Who is there?"), answer("Nobody.")] });
  });
  afterAll(() => served[Symbol.asyncDispose]());

  const field = (page: Page) => page.getByLabel("Token");
  const talk = (page: Page) => page.getByRole("link", { name: "Behind the door" });
  // A refused connection is what tells the page that it is signed out.
  const pardonRefusals = () => browsing.pardon(/401|WebSocket connection/);

  test("the page asks for it, refuses a wrong one with the reason, and goes on where the person was", async () => {
    const page = await browsing.open(`${origin}/conversations?client=claude-code`);
    await field(page).fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("this is not the server's token").waitFor();
    expect(await field(page).inputValue()).toBe("");
    await field(page).fill(TOKEN);
    await page.keyboard.press("Enter");
    await talk(page).waitFor();
    expect(page.url()).toBe(`${origin}/conversations?client=claude-code`);
    pardonRefusals();
  });

  test("the form has nothing that axe finds wrong, in both themes", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await browsing.open(`${origin}/`, { colorScheme, bypassCSP: true });
      await field(page).waitFor();
      expect(await axeViolations(page)).toEqual([]);
    }
    pardonRefusals();
  });

  test("a reload stays signed in, and the token stands nowhere in the browser", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await field(page).fill(TOKEN);
    await page.keyboard.press("Enter");
    await talk(page).waitFor();
    await page.reload();
    await talk(page).waitFor();
    const kept = await page.evaluate(
      "JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, history.state])",
    );
    expect(kept).not.toContain(TOKEN);
    const [cookie, ...others] = await page.context().cookies();
    expect(others).toEqual([]);
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", secure: false });
    expect(cookie?.value).not.toContain(TOKEN);
    pardonRefusals();
  });

  test("the code of dewey open signs in once, and leaves the address at once", async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const made = await fetch(`${origin}/session/code`, { method: "POST", headers });
    const { code } = (await made.json()) as { code: string };
    const address = `${origin}/conversations#code=${code}`;
    const page = await browsing.open(address);
    await talk(page).waitFor();
    expect(page.url()).toBe(`${origin}/conversations`);
    expect(await page.evaluate("history.length")).toBeLessThanOrEqual(2);
    const second = await browsing.open(address);
    await field(second).waitFor();
    expect(second.url()).toBe(`${origin}/conversations`);
    pardonRefusals();
  });

  test("the end of the session asks anew, and keeps the place", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await field(page).fill(TOKEN);
    await page.keyboard.press("Enter");
    await talk(page).click();
    await page.getByText("Nobody.").waitFor();
    const place = page.url();
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").getByRole("combobox").fill("sign out");
    await page.keyboard.press("Enter");
    await field(page).fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.getByText("Nobody.").waitFor();
    expect(page.url()).toBe(place);
    pardonRefusals();
  });

  test("who cannot be signed out is told so", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await field(page).fill(TOKEN);
    await page.keyboard.press("Enter");
    await talk(page).waitFor();
    await page.route("**/session", (route) => route.abort());
    await page.keyboard.press("g");
    await page.keyboard.press("q");
    await page.getByText("you are still signed in").waitFor();
    browsing.pardon(/401|WebSocket connection|ERR_FAILED/);
  });
});
