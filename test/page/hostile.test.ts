import { beforeAll, describe, expect, test } from "bun:test";
import { browserPath, fileBrowser } from "../support/browser.ts";
import { fileListener } from "../support/listener.ts";
import { answer, called, prompt, result, storeTalk } from "../support/talks.ts";

// Texts come from anywhere, and whoever wrote them may want to act on the page. None runs, loads, leads within the page or
// hides anything; none holds the page up.

const scripts = [
  "<script>window.hacked = 1</script>",
  '<img src="x" onerror="window.hacked = 1">',
  "<svg onload=window.hacked=1><style>*{display:none}</style></svg>",
  "[run](javascript:window.hacked=1) [data](data:text/html,<script>1</script>) [page](/conversations?trash=1)",
  "![picture](https://pictures.invalid/track.png)",
  '<iframe srcdoc="<script>parent.hacked=1</script>"></iframe><form action="/backup"><button>Go</button></form>',
  '<a href="https://example.com" class="skip" style="position:fixed;inset:0" id="page">over all</a>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hacked=1&gt;">',
  "```html\n<script>window.hacked = 1</script>\n```",
].join("\n\n");

describe.skipIf(browserPath === null)("a hostile conversation", () => {
  const served = fileListener();
  const browsing = fileBrowser();
  let address: string;
  let origin: string;
  const long = "x".repeat(100_000);

  beforeAll(async () => {
    const { store, url } = served.listener;
    origin = url.replace("ws:", "http:").replace(/\/$/, "");
    const id = await storeTalk(store, {
      title: `<b onclick="window.hacked=1">title</b> \u202Egnp.exe`,
      client: "<i>client</i>",
      folder: "/home/<script>window.hacked=1</script>",
      said: [
        prompt(scripts),
        answer(scripts),
        called("Bash\u202E", { command: "<script>window.hacked = 1</script>", "on<b>e": scripts }),
        result(
          "Bash",
          `\u001b]8;;javascript:window.hacked=1\u0007link\u001b]8;;\u0007\u001b[2J\u001b[31m${scripts}\u001b]0;title\u0007`,
        ),
        result("Read", JSON.stringify({ __proto__x: scripts, constructor: { name: scripts } })),
        answer(long),
        result("Read", long),
        result("Read", "line\n".repeat(2_000_000)),
        answer("*".repeat(30_000)),
        answer("> ".repeat(10_000)),
        answer("[".repeat(30_000)),
        answer("| a ".repeat(8_000)),
        answer("The end."),
      ],
    });
    address = `${origin}/conversation/${id}`;
  });

  test("runs nothing, loads nothing and leads nowhere", async () => {
    const page = await browsing.open(address);
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    await page.locator("article[data-turn='2']").waitFor();
    await page.keyboard.press("u");
    await page.locator("article[data-turn='4'] .turn-body").waitFor();
    expect(await page.evaluate("'hacked' in window")).toBe(false);
    expect(await page.title()).toStartWith("<b onclick=");
    const count = (selector: string) => page.locator(selector).count();
    expect(await count(".scroller :is(script, img, iframe, form, style, math, b, i)")).toBe(0);
    expect(await count(".markdown :is([style], [id], .skip)")).toBe(0);
    const links = await page
      .locator(".markdown a[href]")
      .evaluateAll((all) => all.map((each) => each.getAttribute("href")));
    expect(new Set(links)).toEqual(new Set(["https://pictures.invalid/track.png"]));
    expect(
      requests.filter((each) => !each.startsWith(origin) && !each.startsWith(origin.replace("http", "ws"))),
    ).toEqual([]);
  });

  test("shows by name what would turn or hide a text", async () => {
    const page = await browsing.open(`${address}?turn=3`);
    await page.locator("article[data-turn='3'] .turn-body").waitFor();
    expect(await page.locator("article[data-turn='3'] .turn-who").textContent()).toBe("Bash<U+202E>");
    expect(await page.locator("h1").textContent()).toContain("<U+202E>");
    const output = page.locator("article[data-turn='4']");
    await output.getByRole("button").first().click();
    const text = (await output.locator("pre").textContent()) ?? "";
    expect(text).toStartWith("link<script>");
    expect(text).not.toContain("\u001b");
  });

  test("does not hold the page up, whatever its length", async () => {
    const page = await browsing.open(`${address}?turn=13`);
    await page.locator("article[data-turn='13']").getByText("The end.").waitFor();
    for (let turn = 12; turn >= 1; turn -= 1) {
      await page.keyboard.press("k");
      await page.locator(`article[data-turn='${turn}'][data-current]`).waitFor();
    }
    await page.keyboard.press("u");
    await page.goto(`${address}?turn=8`);
    const huge = page.locator("article[data-turn='8']");
    await huge.getByRole("button", { name: /^Read all of it: 10,000,000 characters/ }).click();
    await huge.getByRole("button", { name: /^Show more: 9,99\d,\d+ characters below/ }).click();
    await huge.getByRole("button", { name: /^Show more: 9,7\d\d,\d+ characters below/ }).waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
  });

  test("is as harmless in the list and among hits", async () => {
    const page = await browsing.open(`${origin}/conversations`);
    await page.locator(".list-row").waitFor();
    await page.goto(`${origin}/search?q=hacked`);
    await page.locator(".hit mark").first().waitFor();
    expect(await page.evaluate("'hacked' in window")).toBe(false);
    expect(await page.locator(".hit :is(script, img, b)").count()).toBe(0);
  });
});
