import { clientConfig, obeyed, proxyConfig } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import type { StatsReply } from "../../store/stats.ts";
import { isLoopback } from "../../loopback.ts";
import { ToolClient } from "../../tool-client.ts";
import { withoutSecrets } from "../../wire/address.ts";
import { jsonText } from "../client-command.ts";
import type { Command } from "../command.ts";
import { askHealth, proxyAt, REMOTE_REMEDY, whyUnreachable } from "../health.ts";
import type { Address } from "../health.ts";
import { bytesText, counted } from "../terminal.ts";
import { prose } from "../prose.ts";

/** Exit code when no server runs, as of `systemctl status`. */
const NOT_RUNNING = 3;

export const status: Command = {
  name: "status",
  summary: "tells whether server and proxy run, and how much is stored",
  usage: ["dewey status [--json]"],
  about: `The exit code is 0 when the server runs, and ${NOT_RUNNING} when it does not. dewey doctor looks for faults.`,
  examples: ["dewey status"],
  settings: [...obeyed.client, "proxyPort"],
  flags: { json: { summary: "print JSON, for programs" } },
  operands: 0,
  async run(invocation) {
    const { url, token } = clientConfig(invocation);
    const { port } = proxyConfig(invocation);
    const [server, proxy] = await Promise.all([healthOf({ url, token }), proxyAt(port, token)]);
    const proxyUrl = proxy?.url ?? `ws://localhost:${port}`;
    const store = server === undefined ? undefined : await countsOf({ url, token });
    if (invocation.flags["json"] === true) {
      const found = { server: { url: withoutSecrets(url), health: server ?? null }, store: store ?? null };
      invocation.print(jsonText({ ...found, proxy: { url: proxyUrl, health: proxy?.health ?? null } }));
    } else {
      const isHere = isLoopback(new URL(url).hostname);
      const remedy = isHere ? "the next command that needs it starts it, or: dewey up" : REMOTE_REMEDY;
      invocation.print(prose(invocation.typed(line("server", withoutSecrets(url), server, `; ${remedy}`))));
      invocation.print(invocation.typed(line("proxy", proxyUrl, proxy?.health, "")));
      if (store !== undefined) invocation.print(`store   ${amounts(store)}\n`);
    }
    return server === undefined ? NOT_RUNNING : 0;
  },
};

type Health = Record<string, unknown>;

async function healthOf({ url, token }: Address): Promise<Health | undefined> {
  const response = await askHealth(url, { token });
  return (await response?.json().catch(() => ({}))) as Health | undefined;
}

function line(name: string, url: string, health: Health | undefined, remedy: string): string {
  if (health === undefined) return `${name.padEnd(6)}  does not run at ${url}${remedy}\n`;
  const version = typeof health["version"] === "string" ? `, version ${health["version"]}` : "";
  const state = health["status"] === "ok" ? "" : ", but not healthy: see dewey doctor";
  return `${name.padEnd(6)}  runs at ${url}${version}${state}\n`;
}

/** Throws `unauthorized` without the server's token. */
async function countsOf(address: Address): Promise<StatsReply> {
  const client = new ToolClient(address);
  try {
    return (await client.call("dewey_stats", { days: 1 })) as unknown as StatsReply;
  } catch (error) {
    const isAway = error instanceof DeweyError && error.code === "unavailable";
    throw (isAway ? await whyUnreachable(address) : undefined) ?? error;
  } finally {
    await client.close();
  }
}

function amounts({ conversations, messages, database_bytes }: StatsReply): string {
  return `${counted(conversations, "conversation")}, ${counted(messages, "message")}, ${bytesText(database_bytes)} on disk`;
}
