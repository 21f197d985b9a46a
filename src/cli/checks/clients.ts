import { HookQueue } from "../../capture/hook-queue.ts";
import { codexServers } from "../../clients/codex-config.ts";
import { ConfigFile } from "../../clients/config-file.ts";
import { withHooks } from "../../clients/hooks.ts";
import { DEWEY } from "../../clients/mcp-servers.ts";
import type { Servers } from "../../clients/mcp-servers.ts";
import { hookConfig } from "../../config.ts";
import { isObject } from "../../wire/frame.ts";
import { clientKind, hookCommand, programFor, serversIn } from "../client-kind.ts";
import type { ClientKind } from "../client-kind.ts";
import type { Invocation } from "../command.ts";
import { queueFolder } from "../hook-delivery.ts";
import { counted } from "../terminal.ts";
import { fault, note, ok } from "./finding.ts";
import type { Finding } from "./finding.ts";

export async function clients(invocation: Invocation): Promise<Finding> {
  const connected: string[] = [];
  for (const { label, name, servers } of knownClients(invocation)) {
    const entry = servers.map((each) => each[DEWEY]).find(isObject);
    if (!entry) continue;
    const { command } = entry;
    if (typeof command === "string" && Bun.which(command, { PATH: invocation.env["PATH"] ?? "" }) === null) {
      return fault(`${label} starts Dewey as ${command}, which does not exist`, `dewey connect ${name}`);
    }
    connected.push(label);
  }
  if (connected.length > 0) return ok(`connected: ${connected.join(", ")}`);
  return note("no client is connected; connect one with: dewey connect claude-code (or codex, gemini, or a file)");
}

export async function hooks(invocation: Invocation): Promise<Finding> {
  const claude = knownClients(invocation).find(({ name }) => name === "claude-code");
  if (claude?.kind.hooks === undefined || !claude.servers.some((each) => DEWEY in each)) {
    return note("Claude Code is not connected here");
  }
  const settings = new ConfigFile(claude.kind.hooks).json();
  const command = hookCommand(programFor(invocation));
  if (!Bun.deepEquals(withHooks(settings, command), settings)) {
    return fault("Claude Code's hooks are missing, or run another Dewey", "dewey connect claude-code");
  }
  const { length } = new HookQueue(queueFolder(hookConfig(invocation))).waiting();
  return ok(length === 0 ? "installed" : `installed; ${counted(length, "event")} queued`);
}

interface KnownClient {
  name: string;
  label: string;
  kind: ClientKind;
  servers: Servers[];
}

/** The clients that have a configuration file in the user's home. */
function knownClients({ env }: Invocation): KnownClient[] {
  return ["claude-code", "codex", "gemini"].flatMap((name): KnownClient[] => {
    const kind = clientKind(name, false, env);
    const file = new ConfigFile(kind.servers);
    if (file.text === undefined) return [];
    const servers = kind.form === "toml" ? [codexServers(file.text, file.path)] : serversIn(file.json());
    return [{ name, label: kind.label, kind, servers }];
  });
}
