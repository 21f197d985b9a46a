import { beforeAll, describe, expect, test } from "bun:test";
import { axeViolations } from "../support/axe.ts";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { fileListener } from "../support/listener.ts";
import { answer, called, prompt, result, storeTalk, thinking } from "../support/talks.ts";

// WCAG 2.2 AA, as far as axe can tell, on every view in both themes and on a narrow screen.

describe.skipIf(browserPath === null)("axe finds nothing wrong", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let origin: string;
  let talk: string;

  beforeAll(async () => {
    const { store, url } = served.listener;
    origin = url.replace("ws:", "http:").replace(/\/$/, "");
    talk = await storeTalk(store, {
      title: "All kinds of turns",
      folder: "/home/ada/shop",
      said: [
        prompt("A question with `code` and a [link](https://example.com)."),
        thinking("Let me think."),
        called("Bash", { command: "ls -la", description: "List" }),
        result(
          "Bash",
          "\u001b[31mred\u001b[32mgreen\u001b[33myellow\u001b[34mblue\u001b[35mmagenta\u001b[2mdim",
          "error",
        ),
        called("Edit", { file_path: "/a.ts", old_string: "let a = 1;", new_string: "let a = 2;" }),
        result("Edit", '{"a": [1, "two", null], "b": {"c": true}}'),
        answer(
          "# Title\n\n> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```ts\n// why\nconst a: string = `x`; let n = 1;\n```\n",
        ),
      ],
    });
    await storeTalk(store, { title: "Another", client: "codex", said: [prompt("About marmalade")] });
    const author = { session: null, client_name: "editor", client_version: null };
    for (const content of ["Be brief.", "Be brief and kind."])
      await store.contexts.set({ name: "rules", content, set_active: true }, author);
    await store.contexts.tie({ folder: "/home/ada/shop", name: "rules" }, author);
  });

  const views: [string, () => string, string[]][] = [
    ["the list", () => "/conversations", []],
    ["the empty list", () => "/conversations?client=nobody", []],
    ["the search", () => "/search?q=marmalade", []],
    ["the empty search", () => "/search", []],
    ["a conversation, unfolded", () => `/conversation/${talk}?turn=1`, ["u"]],
    ["a conversation, searched", () => `/conversation/${talk}?turn=1&find=code`, []],
    ["a chosen conversation", () => "/conversations", ["j", "x"]],
    ["a title that is asked for", () => "/conversations", ["j", "e"]],
    ["home", () => "/", []],
    ["the live turns", () => "/live", []],
    ["the calls", () => "/calls", []],
    ["a call, open", () => `/calls?call=${talk}.4`, []],
    ["a session's calls", () => `/calls?session=${talk}`, []],
    ["no calls", () => "/calls?tool=none", []],
    ["the contexts", () => "/context", []],
    ["a context", () => "/context/rules", []],
    ["a new context", () => "/context/unwritten", []],
    ["sharing", () => `/conversation/${talk}?turn=1`, ["S"]],
    ["the keys", () => "/conversations", ["?"]],
    ["the commands", () => "/conversations", ["Control+k"]],
  ];
  const forms = [
    { colorScheme: "light" as const, viewport: { width: 1280, height: 900 } },
    { colorScheme: "dark" as const, viewport: { width: 1280, height: 900 } },
    { colorScheme: "light" as const, viewport: { width: 360, height: 740 } },
  ];
  for (const form of forms) {
    test(`in the ${form.colorScheme} theme at ${form.viewport.width} px`, async () => {
      // The policy of the page would keep axe out.
      const page = await browsing.open(`${origin}/`, { ...form, bypassCSP: true });
      for (const [name, path, keys] of views) {
        await page.goto(origin + path());
        await page
          .locator(
            "[role=feed] article, .list-row, .hit, .notice, .amounts, .live-item, .calls-time:visible, .call-details h3, .context",
          )
          .first()
          .waitFor();
        for (const key of keys) await page.keyboard.press(key);
        if (keys.length > 0) await page.locator("dialog, .actions, .turn-body .diff").first().waitFor();
        const told = await axeViolations(page);
        expect({ name, told }).toEqual({ name, told: [] });
      }
    });
  }
});
