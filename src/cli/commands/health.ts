import { clientConfig, obeyed } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import { withoutSecrets } from "../../wire/address.ts";
import type { Command } from "../command.ts";
import { askHealth } from "../health.ts";

export const health: Command = {
  name: "health",
  summary: "prints the health of a server or proxy, and exits 0 if it is healthy",
  usage: ["dewey health [--url URL]"],
  examples: ["dewey health", "dewey health --url ws://localhost:9000"],
  about: "Meant for health checks, including in images without curl. To ask a proxy: --url ws://localhost:9000",
  settings: obeyed.client,
  flags: {},
  operands: 0,
  async run(invocation) {
    const { url } = clientConfig(invocation);
    const response = await askHealth(url);
    if (response === undefined) {
      throw new DeweyError(
        "unavailable",
        `nothing answers at ${withoutSecrets(url)}; start a server with: dewey serve`,
      );
    }
    invocation.print(`${(await response.text()).trim()}\n`);
    return response.ok ? 0 : 1;
  },
};
