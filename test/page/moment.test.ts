import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { FAILURE, failingTools } from "../support/failing-tools.ts";
import type { ToolCall } from "../support/failing-tools.ts";
import { fileListener } from "../support/listener.ts";
import { until } from "../support/rpc.ts";
import { answer, prompt, storeTalk } from "../support/talks.ts";

// What a person does before the page has an answer, or before it is drawn, goes to what that person sees and means.

describe.skipIf(browserPath === null)("in the moment", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let origin: string;
  let talk: string;

  beforeAll(async () => {
    const { store, url } = served.listener;
    origin = url.replace("ws:", "http:").replace(/\/$/, "");
    const said = Array.from({ length: 60 }, (_, index) => [
      prompt(`Question ${index} about ${index === 40 ? "a zeppelin" : "marmalade"}`),
      answer(`Answer ${index}. `.repeat(30)),
    ]);
    talk = await storeTalk(store, { title: "The long one", said: said.flat() });
  });
  beforeEach(async () => {
    const { store } = served.listener;
    for (const index of [0, 1, 2, 3]) await storeTalk(store, { title: `Short ${index}`, said: [prompt("brief")] });
  });

  async function opened(path: string) {
    const page = await browsing.open("about:blank");
    const tools = await failingTools(page);
    await page.goto(origin + path);
    return { page, tools };
  }
  const isFor = (tool: string) => (call: ToolCall) => call.name === tool;
  const row = (page: Page, title: string) => page.locator(".list-row").filter({ hasText: title });
  const focused = (page: Page) => page.evaluate<string>("document.activeElement?.textContent ?? ''");
  const path = (page: Page) => page.url().slice(origin.length);

  test("a command acts on the conversation that had the focus", async () => {
    const { page } = await opened("/conversations");
    const title = row(page, "Short 2").first().getByRole("link");
    await title.focus();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").fill("choose");
    await page.keyboard.press("Enter");
    await page.getByText("1 conversation chosen").waitFor();
    expect(await focused(page)).toBe("Short 2");
  });

  test("the command to search goes into the search field", async () => {
    const { page } = await opened("/search?q=marmalade");
    await page.locator(".hit-link").first().focus();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").fill("search");
    await page
      .getByRole("option")
      .filter({ hasText: /^Search\/$/ })
      .click();
    expect(await page.evaluate("document.activeElement.matches('[data-search]')")).toBe(true);
  });
});
