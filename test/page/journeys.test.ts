import { beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { fileListener } from "../support/listener.ts";
import { until } from "../support/rpc.ts";
import { answer, called, prompt, result, storeTalk, thinking } from "../support/talks.ts";

// What people do with the page, in a real browser against a real server.

describe.skipIf(browserPath === null)("on the page", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let origin: string;
  let tab: string;

  beforeAll(async () => {
    const { store, url } = served.listener;
    origin = url.replace("ws:", "http:").replace(/\/$/, "");
    tab = await storeTalk(store, {
      title: "Remember the tab",
      folder: "/home/ada/shop",
      said: [
        prompt("Why does the form forget its **tab**?"),
        thinking("First look at how the form is mounted."),
        called("Bash", { command: "rg remember src", description: "Look for it" }),
        result("Bash", "\u001b[31mnothing\u001b[0m found in the attic", "error"),
        called("Edit", {
          file_path: "/home/ada/shop/form.ts",
          old_string: "let tab = 1;\nlet b;",
          new_string: "let tab = 2;\nlet b;",
        }),
        result("Edit", '{"changed": 1, "files": ["form.ts"]}'),
        answer("It was read too early:\n\n```ts\nconst tab = read();\n```\n\nNow it is not."),
        prompt("Thanks, that was the zeppelin of bugs."),
      ],
    });
    for (let index = 0; index < 5; index += 1) {
      const folder = index % 2 === 0 ? "/home/ada/shop" : "/home/ada/archive";
      await storeTalk(store, {
        title: `Talk ${index}`,
        client: index < 3 ? "codex" : "gemini",
        folder,
        said: [prompt(`Question ${index} about marmalade`), answer(`Answer ${index}`)],
      });
    }
  });

  const path = (page: Page) => page.url().slice(origin.length);
  const row = (page: Page, title: string) => page.locator(".list-row").filter({ hasText: title });

  test("a conversation is opened from the list, and back returns to it", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await page.getByRole("link", { name: "Remember the tab" }).click();
    await page.getByText("Why does the form forget its").first().waitFor();
    expect(path(page)).toBe(`/conversation/${tab}`);
    expect(await page.title()).toBe("Remember the tab · Dewey");
    await page.goBack();
    await row(page, "Talk 4").waitFor();
    await page.goForward();
    await page.locator("article").first().waitFor();
  });

  test("the list narrows by folder and client, in the address and through a reload", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    const filters = page.getByRole("navigation", { name: "Filters" });
    await filters.getByRole("link", { name: /^archive 2$/ }).click();
    await page.getByText("2 conversations").waitFor();
    expect(path(page)).toBe("/conversations?folder=%2Fhome%2Fada%2Farchive");
    await filters.getByRole("link", { name: /^codex/ }).click();
    await page.getByText("1 conversation", { exact: true }).waitFor();
    await page.reload();
    await page.getByText("1 conversation", { exact: true }).waitFor();
    expect(await page.locator(".list-row").count()).toBe(1);
    await page.goBack();
    await page.getByText("2 conversations").waitFor();
  });

  test("conversations are starred, renamed, moved to the trash and brought back", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await row(page, "Talk 0").hover();
    await page.getByRole("button", { name: "Star Talk 0" }).click();
    await page.locator(".list-row .star[aria-pressed=true]").waitFor();
    await page.getByRole("button", { name: "Rename Talk 0" }).click();
    await page.getByRole("textbox", { name: "Title" }).fill("Talk zero");
    await page.getByRole("textbox", { name: "Title" }).press("Enter");
    await row(page, "Talk zero").waitFor();
    await row(page, "Talk zero").hover();
    await page.getByRole("button", { name: "Move Talk zero to the trash" }).click();
    await row(page, "Talk zero").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await row(page, "Talk zero").waitFor();
    await page.getByRole("link", { name: "Favourites" }).click();
    await page.getByText("1 conversation", { exact: true }).waitFor();
  });

  test("several conversations are chosen and moved at once", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    for (const name of ["Talk 1", "Talk 2"]) {
      await row(page, name).hover();
      await page.getByRole("checkbox", { name: `Choose ${name}` }).check();
    }
    await page.getByRole("toolbar").getByRole("button", { name: "Move to the trash" }).click();
    await row(page, "Talk 1").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Trash" }).click();
    await row(page, "Talk 2").waitFor();
    for (const name of ["Talk 1", "Talk 2"])
      await page.getByRole("checkbox", { name: `Choose ${name}` }).check({ force: true });
    await page.getByRole("toolbar").getByRole("button", { name: "Restore" }).click();
    await page.getByText("The trash is empty").waitFor();
  });

  test("a search finds while one types, and its hit opens unfolded and marked", async () => {
    const page = await browsing.open(`${origin}/search`);
    await page.getByRole("searchbox", { name: "Search" }).pressSequentially("attic", { delay: 20 });
    await page.locator(".hit mark").first().waitFor();
    expect(path(page)).toBe("/search?q=attic");
    expect(await page.locator(".hit mark").first().textContent()).toBe("attic");
    await page.locator(".hit-link").first().click();
    await page.locator("article[data-turn='4'] .turn-body").waitFor();
    expect(path(page)).toBe(`/conversation/${tab}?turn=4&find=attic`);
    await until("the mark", () => page.evaluate<boolean>("CSS.highlights.get('found')?.size === 1"));
    await page.goBack();
    await page.locator(".hit mark").first().waitFor();
    expect(await page.getByRole("searchbox", { name: "Search" }).inputValue()).toBe("attic");
  });

  test("a search that finds nothing says so, and a misspelt one what was searched instead", async () => {
    const page = await browsing.open(`${origin}/search?q=xylophonist`);
    await page.getByText("Nothing holds these words").waitFor();
  });

  test("a search counts its hits by who spoke, folder and client, and is narrowed by them", async () => {
    const page = await browsing.open(`${origin}/search?q=marmalade`);
    const filters = page.getByRole("navigation", { name: "Filters" });
    await filters.getByRole("link", { name: /^shop 3$/ }).waitFor();
    await filters.getByRole("link", { name: /^You 5$/ }).waitFor();
    expect(await filters.getByRole("link", { name: /^Results/ }).count()).toBe(0);
    await filters.getByRole("link", { name: /^gemini 2$/ }).click();
    await page.getByText("2 hits").waitFor();
    await filters.getByRole("link", { name: /^shop 1$/ }).waitFor();
    await filters.getByRole("link", { name: /^codex 3$/ }).waitFor();
  });

  test("calls, edits, output and thinking unfold to what they are", async () => {
    const page = await browsing.open(`${origin}/conversation/${tab}`);
    const turn = (number: number) => page.locator(`article[data-turn='${number}']`);
    await turn(1).locator("strong", { hasText: "tab" }).waitFor();
    await turn(2).getByText("First look at how the form is mounted.").waitFor();
    for (const number of [3, 4, 5, 6]) await turn(number).getByRole("button").first().click();
    await turn(3).locator("code", { hasText: "rg remember src" }).waitFor();
    await turn(4).locator(".ansi-red", { hasText: "nothing" }).waitFor();
    await turn(4).getByText("failed").waitFor();
    expect(await turn(5).locator(".diff-added").textContent()).toBe("+let tab = 2;");
    expect(await turn(5).locator(".diff-removed").textContent()).toBe("-let tab = 1;");
    await turn(6).locator(".json-name", { hasText: "changed" }).waitFor();
    await turn(7).locator(".hljs-keyword", { hasText: "const" }).waitFor();
    await turn(7).locator("pre").hover();
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await turn(7).getByRole("button", { name: "Copy", exact: true }).click();
    await turn(7).getByRole("button", { name: "Copied" }).waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe("const tab = read();\n");
  });

  test("the outline leads to a prompt, and the words are found within", async () => {
    const page = await browsing.open(`${origin}/conversation/${tab}`);
    await page
      .getByRole("navigation", { name: "Prompts" })
      .getByRole("link", { name: /zeppelin/ })
      .click();
    await page.locator("article[data-turn='8'][data-current]").waitFor();
    await page.keyboard.press("f");
    await page.getByRole("searchbox", { name: "Find in the conversation" }).fill("form");
    await page.getByText(/– of \d/).waitFor();
    await page.keyboard.press("Enter");
    await page.getByText(/^1 of \d/).waitFor();
  });

  test("keys go to the view again in the moment that a dialog is left", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await row(page, "Remember the tab").waitFor();
    for (const [key, name] of [
      ["?", "Keys"],
      ["Control+k", "Commands"],
    ] as const) {
      await page.keyboard.press(key);
      await page.getByRole("dialog", { name }).waitFor();
      // All at once, as a person's fingers do; nothing waits for the dialog.
      await Promise.all(["Escape", "g", "s"].map((each) => page.keyboard.press(each)));
      await page.getByRole("searchbox", { name: "Search" }).waitFor();
      await Promise.all(["Escape", "g", "l"].map((each) => page.keyboard.press(each)));
      await row(page, "Remember the tab").waitFor();
    }
  });

  test("the list of keys, opened from the commands, stays until it is closed", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await row(page, "Remember the tab").waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("show the keys");
    await page.keyboard.press("Enter");
    const keys = page.getByRole("dialog", { name: "Keys" });
    await keys.getByText("Go to Search").waitFor();
    // The dialog that was closed tells of it in a task of its own.
    await page.evaluate("new Promise((later) => setTimeout(later))");
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    expect(await keys.isVisible()).toBe(true);
    await page.keyboard.press("Escape");
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.getByRole("searchbox", { name: "Search" }).waitFor();
  });

  test("a hit is found, opened and left by the keyboard alone", async () => {
    const page = await browsing.open(`${origin}/search`);
    await page.keyboard.type("zeppelin");
    await page.locator(".hit").waitFor();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.locator("article[data-turn='8'][data-current]").waitFor();
    await page.keyboard.press("k");
    await page.locator("article[data-turn='7'][data-current]").waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("l");
    await row(page, "Remember the tab").waitFor();
  });

  test("conversations are chosen by keys, whatever has the focus, and opened by a command", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await row(page, "Remember the tab").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByText("1 conversation chosen").waitFor();
    await page.locator(".list-row .choose").first().focus();
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByText("2 conversations chosen").waitFor();
    await page.locator(".list-row .choose").first().focus();
    await page.keyboard.press("Space");
    await page.getByText("1 conversation chosen").waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("remember the");
    await page.getByRole("option", { name: /^Remember the tab/ }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator("article[data-turn='1']").waitFor();
  });

  test("an address that names nothing says so", async () => {
    const page = await browsing.open(`${origin}/conversation/00000000-0000-7000-8000-000000000000`);
    await page.getByRole("alert").getByText("there is no conversation").waitFor();
    await page.goto(`${origin}/nowhere`);
    await page.getByText("There is no such view").waitFor();
  });

  test("a narrow window has the filters in a menu", async () => {
    const page = await browsing.open(`${origin}/conversations`, { viewport: { width: 360, height: 740 } });
    await row(page, "Remember the tab").waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
    await page.getByRole("button", { name: "Menu", exact: true }).click();
    await page.getByRole("link", { name: /^archive/ }).click();
    await page.getByText("2 conversations").waitFor();
    await page.getByRole("link", { name: /^archive/ }).waitFor({ state: "hidden" });
  });

  test("times are the person's own", async () => {
    const [there, here] = await Promise.all(
      ["Asia/Tokyo", "UTC"].map(async (timezoneId) => {
        const page = await browsing.open(`${origin}/conversation/${tab}`, { timezoneId });
        return page.locator(".turn-time").first().textContent();
      }),
    );
    expect(there).not.toBe(here);
  });

  // Last, because its many conversations fill the first page of the list.
  test("the list is where it was when one comes back, as long as it was", async () => {
    const { store } = served.listener;
    for (let index = 0; index < 130; index += 1)
      await storeTalk(store, { title: `Many ${index}`, folder: "/many", said: [prompt("x")] });
    const page = await browsing.open(`${origin}/conversations?folder=/many`);
    await row(page, "Many 129").waitFor();
    await page.locator(".scroller").evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await row(page, "Many 0").waitFor();
    await page.getByRole("link", { name: "Many 5", exact: true }).scrollIntoViewIfNeeded();
    const place = await page.locator(".scroller").evaluate((list) => list.scrollTop);
    await page.getByRole("link", { name: "Many 5", exact: true }).click();
    await page.locator("article").waitFor();
    await page.goBack();
    await row(page, "Many 0").waitFor();
    expect(await page.locator(".scroller").evaluate((list) => list.scrollTop)).toBe(place);
  });
});
