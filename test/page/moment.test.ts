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

  test("the focus stays in the list when what had it moves to the trash", async () => {
    const { page } = await opened("/conversations");
    await page.locator(".list-row").first().waitFor();
    const [, second, third, fourth] = await page
      .locator(".list-row")
      .evaluateAll((rows) => rows.map((each) => each.getAttribute("data-id")));
    const withFocus = () => page.evaluate("document.activeElement?.closest('[data-id]')?.dataset.id");
    await page.locator(`[data-id="${second}"] a`).focus();
    await page.keyboard.down("#");
    await page.locator(`[data-id="${second}"]`).waitFor({ state: "detached" });
    // The key repeats while it is held down, and does no more.
    await page.keyboard.down("#");
    await page.keyboard.up("#");
    expect(await withFocus()).toBe(third);
    await page.keyboard.press("j");
    expect(await withFocus()).toBe(fourth);
    await page
      .locator(`[data-id="${fourth}"]`)
      .getByRole("button", { name: /to the trash/ })
      .click();
    await page.locator(`[data-id="${fourth}"]`).waitFor({ state: "detached" });
    expect(await withFocus()).toBeDefined();
  });

  test("a key that is pressed twice moves a conversation to the trash once, with the way back", async () => {
    const { page, tools } = await opened("/conversations");
    await row(page, "Short 3").first().getByRole("link").focus();
    let count = 0;
    tools.holds = ({ name }) => name === "dewey_delete_conversation" && (count += 1) > 0;
    await page.keyboard.press("#");
    await page.keyboard.press("#");
    await until("the call", () => count > 0);
    tools.letGo();
    await page.getByRole("button", { name: "Undo" }).waitFor();
    expect(count).toBe(1);
  });

  test("so it does in the conversation itself, and who has gone on is not led away", async () => {
    const id = await storeTalk(served.listener.store, { title: "Gone soon", said: [prompt("brief")] });
    const { page, tools } = await opened(`/conversation/${id}`);
    await page.locator("article").first().waitFor();
    let count = 0;
    tools.holds = ({ name }) => name === "dewey_delete_conversation" && (count += 1) > 0;
    await page.keyboard.press("#");
    await page.keyboard.press("#");
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.getByRole("searchbox").waitFor();
    tools.letGo();
    await page.getByText("Moved to the trash: “Gone soon”").waitFor();
    await page.getByRole("button", { name: "Undo" }).waitFor();
    expect(count).toBe(1);
    expect(path(page)).toBe("/search");
  });

  test("a search within a conversation that fails says so", async () => {
    const { page, tools } = await opened(`/conversation/${talk}`);
    await page.locator("article").first().waitFor();
    tools.fails = isFor("dewey_search");
    await page.keyboard.press("f");
    await page.keyboard.type("zeppelin");
    await page.locator(".find-bar").getByText(FAILURE).waitFor();
    expect(await page.getByText("No hit").count()).toBe(0);
  });

  test("Enter right after the words leads to their hit, and not to one of the words before", async () => {
    const { page, tools } = await opened(`/conversation/${talk}?find=marmalade`);
    await page.getByText(/^– of/).waitFor();
    tools.holds = isFor("dewey_search");
    await page.getByRole("searchbox").fill("zeppelin");
    await page.keyboard.press("Enter");
    expect(new URL(page.url()).searchParams.get("turn")).toBe(null);
    tools.letGo();
    await until("the hit", () => new URL(page.url()).searchParams.get("turn") === "81");
  });

  test("Enter in the search goes to the first hit of what was typed", async () => {
    const { page, tools } = await opened("/search?q=marmalade");
    await page.locator(".hit-link").first().waitFor();
    tools.holds = isFor("dewey_search");
    await page.getByRole("searchbox").fill("zeppelin");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.matches('[data-search]')")).toBe(true);
    tools.letGo();
    await until("the hit", async () => (await focused(page)).includes("zeppelin"));
  });

  test("Enter that ends the writing of a word in signs is no step", async () => {
    const { page } = await opened("/search?q=marmalade");
    await page.locator(".hit-link").first().waitFor();
    await page.getByRole("searchbox").focus();
    await page.evaluate(
      "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true }))",
    );
    expect(await page.evaluate("document.activeElement.matches('[data-search]')")).toBe(true);
  });

  test("other words begin at their best hit, wherever the hits before were scrolled to", async () => {
    const { page } = await opened("/search?q=marmalade");
    await page.locator(".hit-link").first().waitFor();
    await page.locator(".scroller").evaluate((list) => list.scrollTo(0, 900));
    await page.getByRole("searchbox").fill("answer");
    await page.locator(".hit").filter({ hasText: "Answer" }).first().waitFor();
    expect(await page.locator(".scroller").evaluate((list) => list.scrollTop)).toBe(0);
  });

  test("what is typed right after going back stays", async () => {
    const { page } = await opened("/search?q=marmalade");
    await page.locator(".hit-link").first().waitFor();
    await page.evaluate(`
      history.pushState(null, "", "/search?q=zeppelin");
      dispatchEvent(new PopStateEvent("popstate"));
    `);
    await until("the words", async () => (await page.getByRole("searchbox").inputValue()) === "zeppelin");
    await page.evaluate(`new Promise((resolve) => {
      const field = document.querySelector("[data-search]");
      history.back();
      addEventListener("popstate", () => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => {
          field.value += "s";
          field.dispatchEvent(new InputEvent("input", { bubbles: true }));
          resolve();
        };
        channel.port2.postMessage(0);
      }, { once: true });
    })`);
    await until("the hits", async () => (await page.title()) === "marmalades – Search · Dewey");
    expect(await page.getByRole("searchbox").inputValue()).toBe("marmalades");
  });

  test("a text that the browser lets nobody copy is said not to be", async () => {
    const page = await browsing.open("about:blank");
    // As over plain HTTP from another machine.
    await page.addInitScript("Object.defineProperty(navigator, 'clipboard', { value: undefined })");
    await page.goto(`${origin}/conversation/${talk}`);
    await page.getByRole("button", { name: "Copy all" }).first().click();
    await page.getByRole("button", { name: "Not allowed" }).waitFor();
  });
});
