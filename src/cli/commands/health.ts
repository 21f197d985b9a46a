import { clientConfig, obeyed } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import { isLoopback } from "../../loopback.ts";
import { withoutSecrets } from "../../wire/address.ts";
import type { Command } from "../command.ts";
import { usageError } from "../command.ts";
import { askProbe, isHealth, notDewey, REMOTE_REMEDY } from "../health.ts";
import type { Probe } from "../health.ts";

export const health: Command = {
  name: "health",
  summary: "prints the health of a server or proxy, and exits 0 if it is healthy",
  usage: ["dewey health [--live | --ready] [--url URL]"],
  examples: ["dewey health", "dewey health --url ws://localhost:9000"],
  about:
    "Meant for health checks, including in images without curl. To ask a proxy: --url ws://localhost:9000. A server or " +
    "proxy that has a token tells more than its status only to those who have it (DEWEY_TOKEN).",
  settings: obeyed.client,
  flags: {
    live: { summary: "ask only whether the process runs (/livez)" },
    ready: { summary: "ask whether new clients should be sent there: not while it stops or cannot write (/readyz)" },
  },
  operands: 0,
  async run(invocation) {
    const { url, token } = clientConfig(invocation);
    const { live, ready } = invocation.flags;
    if (live === true && ready === true) throw usageError(health, "takes --live or --ready, not both");
    const probe: Probe = live === true ? "/livez" : ready === true ? "/readyz" : "/healthz";
    const response = await askProbe({ url, token }, probe);
    if (response === undefined) {
      const remedy = isLoopback(new URL(url).hostname) ? "start a server with: dewey serve" : REMOTE_REMEDY;
      throw new DeweyError("unavailable", `nothing answers at ${withoutSecrets(url)}; ${remedy}`);
    }
    const text = (await response.text()).trim();
    if (!isHealth(text)) throw new DeweyError("unavailable", notDewey(url));
    invocation.print(`${text}\n`);
    return response.ok ? 0 : 1;
  },
};
