import { codexServers } from "../../clients/codex-config.ts";
import type { ConfigFile } from "../../clients/config-file.ts";
import { withoutHooks } from "../../clients/hooks.ts";
import { withoutProxy } from "../../clients/mcp-servers.ts";
import type { Servers } from "../../clients/mcp-servers.ts";
import { obeyed } from "../../config.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";
import { jsonText } from "../client-command.ts";
import { changedText, clientKind, configFile, programFor, serversIn, withChangedHooks } from "../client-kind.ts";
import type { ClientKind } from "../client-kind.ts";
import type { Command, Invocation } from "../command.ts";
import { usageError } from "../command.ts";
import { prose } from "../prose.ts";

export const disconnect: Command = {
  name: "disconnect",
  summary: "undoes the changes of dewey connect to a client's configuration",
  usage: ["dewey disconnect CLIENT [--project] [--json]"],
  examples: ["dewey disconnect claude-code"],
  about: [
    "Removes only Dewey's own entry, the proxy in front of other servers, and Dewey's hooks; later changes are kept. A file",
    "without later changes is restored byte for byte.",
  ].join(" "),
  settings: obeyed.connect,
  flags: {
    project: { summary: "change this folder's configuration instead of the user's" },
    json: { summary: "print JSON, for programs" },
  },
  operands: 1,
  async run(invocation) {
    const { flags, print } = invocation;
    const [name] = invocation.operands;
    if (name === undefined) throw usageError(disconnect, "needs a client: claude-code, codex, gemini, or a file");
    const kind = clientKind(name, flags["project"] === true, invocation.env);
    const files = await restored(kind, invocation);
    const changed = files.filter(({ file, text }) => text !== file.text && file.text !== undefined);
    for (const { file, text } of changed) {
      if (text === undefined) file.remove();
      else file.write(text);
    }
    if (flags["json"] === true) {
      print(jsonText({ files: files.map((each) => ({ path: each.file.path, changed: changed.includes(each) })) }));
      return 0;
    }
    const lines = changed.map(
      ({ file, text }) => `  ${file.path}  (${text === undefined ? "removed: Dewey had created it" : "written"})`,
    );
    const first =
      changed.length > 0
        ? `${kind.label} is no longer connected to Dewey.`
        : `${kind.label} was not connected to Dewey.`;
    print(prose([first, ...lines, ""].join("\n")));
    return 0;
  },
};

interface RestoredFile {
  file: ConfigFile;
  /** Undefined to remove a file that would be empty. */
  text: string | undefined;
}

async function restored(kind: ClientKind, invocation: Invocation): Promise<RestoredFile[]> {
  const program = programFor(invocation, kind.isShared);
  const file = configFile(kind, kind.servers, invocation);
  const backup = file.backup();
  const old: Servers = kind.form === "json" ? oldServers(backup) : codexServers(backup ?? "", file.path);
  const text = await changedText(kind, file, (servers) => Promise.resolve(withoutProxy(servers, old, program)));
  if (kind.hooks === undefined) return [{ file, text: settled(file, text, kind.form) }];
  if (kind.hooks.file === kind.servers)
    return [{ file, text: settled(file, withChangedHooks(file, text, withoutHooks), "json") }];
  const settings = configFile(kind, kind.hooks.file, invocation);
  settings.json();
  const changed = withChangedHooks(settings, settings.text ?? "", withoutHooks);
  return [
    { file, text: settled(file, text, kind.form) },
    { file: settings, text: settled(settings, changed, "json") },
  ];
}

/** The backup's exact bytes if it has the same content; undefined if Dewey had created the file. */
function settled(file: ConfigFile, text: string, form: ClientKind["form"]): string | undefined {
  if (text === (file.text ?? "")) return file.text;
  const backup = file.backup();
  if (form === "toml") return text.trim() === "" && backup === undefined ? undefined : text;
  const config = withoutEmpty(JSON.parse(text) as Json, parsed(backup));
  if (backup === undefined && Object.keys(config).length === 0) return undefined;
  return backup !== undefined && Bun.deepEquals(parsed(backup), config) ? backup : file.jsonText(config);
}

/** Removes an empty table of servers that the file did not have before Dewey. */
function withoutEmpty(config: Json, before: Json): Json {
  const { mcpServers, ...rest } = config;
  const isEmpty = isObject(mcpServers) && Object.keys(mcpServers).length === 0;
  return isEmpty && !("mcpServers" in before) ? rest : config;
}

function oldServers(backup: string | undefined): Servers {
  return Object.assign({}, ...serversIn(parsed(backup)).toReversed()) as Servers;
}

function parsed(text: string | undefined): Json {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
