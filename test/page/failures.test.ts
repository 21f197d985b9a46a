import { beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { FAILURE, failingTools } from "../support/failing-tools.ts";
import type { ToolCall } from "../support/failing-tools.ts";
import { fileListener } from "../support/listener.ts";
import { until } from "../support/rpc.ts";
import { answer, called, prompt, result, storeTalk } from "../support/talks.ts";

// Calls fail, such as while the database is away. The page says so, asks again only when a person wants it, and loses nothing
// of what a person wrote.

const FRAMES = 10;

describe.skipIf(browserPath === null)("when a call fails", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let origin: string;
  let talk: string;
  const author = { session: null, client_name: "editor", client_version: null };

  beforeAll(async () => {
    const { store, url } = served.listener;
    origin = url.replace("ws:", "http:").replace(/\/$/, "");
    talk = await storeTalk(store, {
      title: "The failing one",
      said: [prompt("a question"), answer("an answer"), called("Bash", { command: "ls" }), result("Bash", "nothing")],
    });
    await store.contexts.set({ name: "kept", content: "Be brief.", set_active: false }, author);
    for (let index = 0; index < 130; index += 1)
      await storeTalk(store, { title: `Many ${index}`, folder: "/many", said: [prompt("many words")] });
  });

  /** A page of which the calls that `fails` names fail. */
  async function opened(path: string, fails: (call: ToolCall) => boolean) {
    const page = await browsing.open("about:blank");
    const failing = await failingTools(page);
    failing.fails = fails;
    await page.goto(origin + path);
    return { page, failing };
  }
  const tryAgain = (page: Page) => page.getByRole("button", { name: "Try again" });
  const told = (page: Page) => page.getByRole("alert").getByText(FAILURE);
  const isFor = (tool: string) => (call: ToolCall) => call.name === tool;

  const isNow = ({ name, arguments: { start_date, client } }: ToolCall) =>
    name === "dewey_list_conversations" && start_date !== undefined && client === undefined;
  const views: [string, () => string, (call: ToolCall) => boolean, string][] = [
    ["home", () => "/", isFor("dewey_stats"), ".amounts"],
    ["what goes on now", () => "/", isNow, ".panel:has(a[href='/live']) .count"],
    ["the list", () => "/conversations", isFor("dewey_list_conversations"), ".list-row"],
    ["a search", () => "/search?q=question", isFor("dewey_search"), ".hit"],
    ["a conversation", () => `/conversation/${talk}`, isFor("dewey_get_conversation"), "article"],
    ["the live turns", () => "/live", isFor("dewey_new_messages"), ".live-item"],
    ["the calls", () => "/calls", isFor("dewey_list_calls"), ".calls-time"],
    ["one call", () => `/calls?call=${talk}.4`, isFor("dewey_get_conversation"), ".call-details h3"],
    ["the contexts", () => "/context", isFor("dewey_list_startup_contexts"), ".context-row"],
    ["a context", () => "/context/kept", isFor("dewey_get_startup_context"), ".context-text"],
    ["a change", () => "/context/kept", ({ arguments: { version } }) => version !== undefined, ".version-list .diff"],
  ];
  for (const [name, path, fails, shown] of views) {
    test(`${name} can be tried again`, async () => {
      const { page, failing } = await opened(path(), fails);
      await told(page).waitFor();
      await tryAgain(page).click();
      await until("the second try", () => failing.count > 1);
      await told(page).waitFor();
      failing.fails = () => false;
      await tryAgain(page).click();
      await page.locator(shown).first().waitFor();
      await told(page).waitFor({ state: "detached" });
    });
  }

  test("what was read stays when it cannot be read again", async () => {
    const { page, failing } = await opened("/conversations", () => false);
    await page.locator(".list-row").first().waitFor();
    await page.getByRole("link", { name: "Many 129", exact: true }).click();
    await page.locator("article").waitFor();
    failing.fails = isFor("dewey_list_conversations");
    await page.goBack();
    await page.getByText("This may be out of date").waitFor();
    expect(await page.locator(".list-row").count()).toBe(100);
    failing.fails = () => false;
    await tryAgain(page).click();
    await page.getByText("This may be out of date").waitFor({ state: "detached" });
  });

  test("the next page of a list is asked for once, and again when a person wants it", async () => {
    const isNext = ({ name, arguments: { cursor } }: ToolCall) =>
      name === "dewey_list_conversations" && cursor !== undefined;
    const { page, failing } = await opened("/conversations?folder=/many", isNext);
    await page.locator(".list-row").first().waitFor();
    await page.locator(".scroller").evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await page.getByText(`The rest could not be read: ${FAILURE}`).waitFor();
    // A list that asked by itself would ask with each frame.
    for (let frame = 0; frame < FRAMES; frame += 1)
      await page.evaluate("new Promise((drawn) => requestAnimationFrame(() => drawn(true)))");
    expect(failing.count).toBe(1);
    failing.fails = () => false;
    await tryAgain(page).click();
    await page.getByRole("link", { name: "Many 0", exact: true }).waitFor();
    await page.getByText("The rest could not be read").waitFor({ state: "detached" });
  });

  test("the next page of a list is read while that of an earlier list is still awaited", async () => {
    const { page, failing } = await opened("/conversations", () => false);
    let isHeld = false;
    failing.holds = ({ arguments: { cursor, folder } }) => {
      const holds = cursor !== undefined && folder === undefined;
      isHeld ||= holds;
      return holds;
    };
    await page.locator(".list-row").first().waitFor();
    await page.locator(".scroller").evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await until("the call", () => isHeld);
    await page.locator("a.facet-link[href*='folder=%2Fmany']").click();
    await until("the list", () => page.url().includes("folder"));
    await page.locator(".list-row").first().waitFor();
    await page.locator(".scroller").evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await page.getByRole("link", { name: "Many 0", exact: true }).waitFor();
  });

  test("an action on several says for which it failed, does the others, and takes back only these", async () => {
    const { page, failing } = await opened("/conversations?folder=/many", () => false);
    const row = (name: string) =>
      page.locator(".list-row").filter({ has: page.getByRole("link", { name, exact: true }) });
    const choose = (name: string) => page.getByRole("checkbox", { name: `Choose ${name}`, exact: true });
    for (const name of ["Many 129", "Many 128", "Many 127"]) {
      await row(name).hover();
      await choose(name).check();
    }
    const id = await row("Many 128").getAttribute("data-id");
    failing.fails = ({ name, arguments: { conversation_id } }) =>
      name === "dewey_delete_conversation" && conversation_id === id;
    await page.keyboard.press("#");
    await page.getByText(`Moved to the trash: 2 conversations. Failed for “Many 128”: ${FAILURE}`).waitFor();
    await row("Many 129").waitFor({ state: "detached" });
    expect(await choose("Many 128").isChecked()).toBe(true);
    await page.getByRole("button", { name: "Undo" }).click();
    await row("Many 129").waitFor();
    await row("Many 127").waitFor();
    expect(failing.count).toBe(1);
  });

  test("a context that could not be saved keeps what was written, on leaving the view, too", async () => {
    await served.listener.store.contexts.set({ name: "rules", content: "Be brief.", set_active: false }, author);
    const { page, failing } = await opened("/context/rules", () => false);
    const text = page.getByRole("textbox", { name: "What a session should know when it begins" });
    await text.fill("Be brief and kind.");
    failing.fails = ({ name }) => name.includes("context");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("This may be out of date").waitFor();
    expect(await text.inputValue()).toBe("Be brief and kind.");
    await page.getByRole("link", { name: "Home" }).click();
    await page.locator(".amounts").waitFor();
    await page.goBack();
    // One notice for all that could not be read again, above that of the chosen change.
    const outdated = page.getByRole("alert").filter({ hasText: "This may be out of date" });
    await outdated.waitFor();
    failing.fails = () => false;
    await outdated.getByRole("button", { name: "Try again" }).click();
    await outdated.waitFor({ state: "detached" });
    expect(await text.inputValue()).toBe("Be brief and kind.");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("2 changes").waitFor();
    expect(await served.listener.store.contexts.get({ name: "rules" })).toMatchObject({
      content: "Be brief and kind.",
    });
  });

  test("a new context that could not be saved keeps what was written", async () => {
    const { page, failing } = await opened("/context/unwritten", ({ name }) => name === "dewey_set_startup_context");
    const text = page.getByRole("textbox", { name: "What a session should know when it begins" });
    await text.fill("All of it.");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("status").getByText(FAILURE).waitFor();
    expect(await text.inputValue()).toBe("All of it.");
    failing.fails = () => false;
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("1 change,").waitFor();
    expect(await text.inputValue()).toBe("All of it.");
  });
});
