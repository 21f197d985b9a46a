import { clientConfig, obeyed } from "../../config.ts";
import { stderrLog } from "../../log.ts";
import { openInBrowser } from "../browser.ts";
import type { Command } from "../command.ts";
import { httpAddress } from "../health.ts";
import { ensureLocalServer } from "../local-server.ts";
import { requestServer } from "../requests.ts";

export const open: Command = {
  name: "open",
  summary: "opens the page in a browser, to read everything there",
  usage: ["dewey open [--print]"],
  about: [
    "Prints the address when there is no browser. If the server wants a token, the address carries a code that signs one",
    "browser in, once, within a minute; the token itself never stands in an address.",
  ].join(" "),
  examples: ["dewey open", "dewey open --print"],
  settings: obeyed.client,
  flags: { print: { summary: "only print the address" } },
  operands: 0,
  async run(invocation) {
    const { url, token, dataDir, logLevel } = clientConfig(invocation);
    const log = stderrLog(logLevel === "info" ? "warn" : logLevel);
    await ensureLocalServer({ url, token, dataDir, env: invocation.env, log });
    const response = await requestServer({ url, token }, "/session/code");
    const { code } = (await response.json()) as { code: string | null };
    const page = httpAddress(url, "/");
    page.search = "";
    const address = code === null ? page.href : `${page.href}#code=${code}`;
    const isOpened = invocation.flags["print"] !== true && (await openInBrowser(address, invocation.env));
    invocation.print(isOpened ? `Opened ${page.href}\n` : `${address}\n`);
    return 0;
  },
};
