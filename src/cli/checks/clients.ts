import { resolve } from "node:path";
import { HookQueue } from "../../capture/hook-queue.ts";
import { codexServers } from "../../clients/codex-config.ts";
import { ConfigFile } from "../../clients/config-file.ts";
import { withHooks } from "../../clients/hooks.ts";
import { DEWEY, isDeweyEntry, unproxied, urlOf } from "../../clients/mcp-servers.ts";
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
    const places = deweyIn(invocation, name);
    if (places.length > 1)
      return fault(
        `${label} has Dewey ${places.length} times, so its tools appear ${places.length} times: ${places.join(", ")}`,
        `remove all but one, for example with: dewey disconnect ${name} --project`,
      );
    connected.push(label);
  }
  if (connected.length > 0) return ok(`connected: ${connected.join(", ")}`);
  return note("no client is connected; connect one with: dewey connect claude-code (or codex, gemini, or a file)");
}

/** The entries for Dewey itself that a client reads in this folder: by `dewey connect`, or by hand with the server's address. */
function deweyIn(invocation: Invocation, name: string): string[] {
  const { url } = hookConfig(invocation);
  const address = new URL(url).host;
  const isDewey = (entry: unknown) =>
    isDeweyEntry(entry) || (isObject(entry) && unproxied(entry) === undefined && hostOf(urlOf(entry)) === address);
  return tablesHere(invocation, name).flatMap(({ file, servers }) =>
    Object.entries(servers)
      .filter(([, entry]) => isDewey(entry))
      .map(([entry]) => `${entry} in ${file}`),
  );
}

function hostOf(address: string | undefined): string | undefined {
  return address === undefined ? undefined : (URL.parse(address)?.host ?? undefined);
}

/** The tables of servers that a client reads in this folder, with their files: the user's, and those of the folder. */
function tablesHere({ env }: Invocation, name: string): { file: string; servers: Servers }[] {
  const kind = clientKind(name, false, env);
  const files = [kind.servers, ...(kind.otherScope === undefined ? [] : [kind.otherScope])];
  return files.flatMap((path): { file: string; servers: Servers }[] => {
    const file = new ConfigFile(path);
    if (file.text === undefined) return [];
    if (kind.form === "toml") return [{ file: path, servers: codexServers(file.text, path) }];
    const config = file.json();
    const here = isObject(config["projects"]) ? config["projects"][resolve(".")] : undefined;
    return [config, here].flatMap((place) =>
      isObject(place) && isObject(place["mcpServers"]) ? [{ file: path, servers: place["mcpServers"] }] : [],
    );
  });
}

export async function hooks(invocation: Invocation): Promise<Finding> {
  const connected = knownClients(invocation).filter(
    ({ kind, servers }) => kind.hooks && servers.some((each) => DEWEY in each),
  );
  if (connected.length === 0) return note("no client with hooks is connected here");
  const program = programFor(invocation, false);
  for (const { kind, label, name } of connected) {
    if (kind.hooks === undefined) continue;
    const settings = new ConfigFile(kind.hooks.file).json();
    const { client } = kind.hooks;
    if (!Bun.deepEquals(withHooks(settings, hookCommand(program, client), client), settings))
      return fault(`${label}'s hooks are missing, or run another Dewey`, `dewey connect ${name}`);
  }
  const codex = connected.find(({ name }) => name === "codex");
  if (codex && !hooksAreTrusted(codex.kind))
    return fault("Codex has not been told to trust Dewey's hooks", "start codex, and there: /hooks");
  const { length } = new HookQueue(queueFolder(hookConfig(invocation))).waiting();
  const names = connected.map(({ label }) => label).join(", ");
  return ok(`installed for ${names}${length === 0 ? "" : `; ${counted(length, "event")} queued`}`);
}

/** Whether Codex has noted that the user trusts some hook of the file. */
function hooksAreTrusted({ servers, hooks }: ClientKind): boolean {
  return new ConfigFile(servers).text?.includes(`${hooks?.file}:`) === true;
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
