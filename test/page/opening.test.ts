import { beforeAll, describe, expect, test } from "bun:test";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { failingTools } from "../support/failing-tools.ts";
import type { ToolCall } from "../support/failing-tools.ts";
import { fileListener } from "../support/listener.ts";
import { until } from "../support/rpc.ts";
import { answer, prompt, storeTalk } from "../support/talks.ts";

// What a conversation asks for when it is opened at a turn.

const TURNS = 300;

describe.skipIf(browserPath === null)("a conversation that is opened at a turn", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let address: string;

  beforeAll(async () => {
    const { store, url } = served.listener;
    const said = Array.from({ length: TURNS }, (_, index) =>
      index % 2 === 0 ? prompt(`question ${index + 1}`) : answer(`answer ${index + 1}`),
    );
    const talk = await storeTalk(store, { title: "The opened one", said });
    address = `${url.replace("ws:", "http:")}conversation/${talk}`;
  });

  const isOutline = (call: ToolCall) => call.arguments["outline"] === true;
  /** The page at a turn, the calls that it has made, and what holds some of them. */
  async function opened(turn: number, holds: (call: ToolCall) => boolean, script = "") {
    const page = await browsing.open("about:blank");
    await page.addInitScript(script);
    const tools = await failingTools(page);
    const calls: ToolCall[] = [];
    tools.holds = (call) => {
      calls.push(call);
      return holds(call);
    };
    await page.goto(`${address}?turn=${turn}`);
    return { page, calls, tools };
  }

  test("shows it before its outline is there", async () => {
    const { page, calls } = await opened(200, isOutline);
    await page.locator("article[data-turn='200'][data-current]").getByText("answer 200").waitFor();
    await page.getByRole("heading", { name: "The opened one" }).waitFor();
    expect(calls.filter(isOutline)).toHaveLength(1);
  });

  test("holds only the turns in the window in its first frame", async () => {
    // The outline would have the list drawn before its turns are there.
    const script = `
      const look = () => {
        const count = document.querySelectorAll("article").length;
        if (count === 0) requestAnimationFrame(look);
        else window.firstCount = count;
      };
      requestAnimationFrame(look);
    `;
    const { page } = await opened(200, isOutline, script);
    const drawn = page.locator("article");
    await until("the turns around the window", async () => (await drawn.count()) > 20);
    const first = await page.evaluate<number>("firstCount");
    expect(first).toBeLessThan((await drawn.count()) - 5);
  });

  test("keeps it in its place when the outline comes, and reads that once", async () => {
    const { page, calls } = await opened(200, () => false);
    const shown = page.locator("article[data-turn='200']");
    await page.getByText(`${TURNS} turns`).waitFor();
    const top = await shown.evaluate((article) => article.getBoundingClientRect().top);
    const list = (await page.locator(".turns .scroller").boundingBox())?.y ?? 0;
    expect(Math.abs(top - list)).toBeLessThan(30);
    await page.keyboard.press("j");
    await page.locator("article[data-turn='201'][data-current]").waitFor();
    await page.keyboard.press("Shift+J");
    await page.locator("article[data-turn='203'][data-current]").waitFor();
    expect(calls.filter(isOutline)).toHaveLength(1);
    // The turns around it came with it, and are not asked for again; on a low window those after them are drawn already.
    const [first, ...later] = calls.filter((call) => call.name === "dewey_get_conversation" && !isOutline(call));
    const { after_turn: after, limit } = first?.arguments ?? {};
    expect(Number(after)).toBeLessThan(200);
    for (const call of later)
      expect(Number(call.arguments["after_turn"])).toBeGreaterThanOrEqual(Number(after) + Number(limit));
  });

  // Only the turns around the one that was opened are known so far.
  test.each([
    ["G", TURNS],
    ["gg", 1],
    ["J", 201],
    ["K", 199],
    ["GK", 199],
    ["Gk", 199],
  ])("keeps the keys %s until its outline is there", async (keys, turn) => {
    const { page, tools } = await opened(200, isOutline);
    await page.locator("article[data-turn='200'][data-current]").waitFor();
    for (const key of keys) await page.keyboard.press(key);
    tools.letGo();
    await page.getByText(`${TURNS} turns`).waitFor();
    await page.locator(`article[data-turn='${turn}'][data-current]`).waitFor();
  });

  test("shows the turn of a link beyond those that came first, once its outline is there", async () => {
    const { page, tools } = await opened(200, isOutline);
    await page.locator("article[data-turn='200'][data-current]").waitFor();
    await page.evaluate(
      `history.pushState(null, "", "${address}?turn=30"); dispatchEvent(new PopStateEvent("popstate"))`,
    );
    tools.letGo();
    await page.locator("article[data-turn='30'][data-current]").waitFor();
  });
});
