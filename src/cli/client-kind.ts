import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { codexServers, withCodexServers } from "../clients/codex-config.ts";
import type { ConfigFile } from "../clients/config-file.ts";
import type { Program, Servers } from "../clients/mcp-servers.ts";
import { connectConfig } from "../config.ts";
import { DeweyError } from "../errors.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import type { Invocation } from "./command.ts";
import { selfCommand } from "./self.ts";

/** A client that can be connected: where its configuration lies, and in what form. */
export interface ClientKind {
  /** As people call it. */
  label: string;
  /** The file that holds its MCP servers. */
  servers: string;
  form: "json" | "toml";
  /** The file that holds its hooks, where it has any that we know. */
  hooks?: string;
  /** What else is to be done to have its talk. */
  hint?: string;
}

/** The client that is meant. A path stands for any client that has its servers in an `mcpServers` file. */
export function clientKind(name: string, project: boolean, env: Invocation["env"]): ClientKind {
  const home = env["HOME"] || homedir();
  switch (name) {
    case "claude-code": {
      const folder = env["CLAUDE_CONFIG_DIR"];
      const label = "Claude Code";
      if (project)
        return { label, servers: resolve(".mcp.json"), form: "json", hooks: resolve(".claude/settings.local.json") };
      const hooks = join(folder || join(home, ".claude"), "settings.json");
      return { label, servers: join(folder || home, ".claude.json"), form: "json", hooks };
    }
    case "gemini": {
      const folder = project ? resolve(".gemini") : join(home, ".gemini");
      return { label: "Gemini", servers: join(folder, "settings.json"), form: "json" };
    }
    case "codex": {
      if (project)
        throw new DeweyError("invalid", "codex has its MCP servers in one place for all projects; leave --project out");
      const folder = env["CODEX_HOME"] || join(home, ".codex");
      const hint = `Codex has no hooks; its talk comes with: dewey import --watch ${join(folder, "sessions")}`;
      return { label: "Codex", servers: join(folder, "config.toml"), form: "toml", hint };
    }
    default:
      if (!name.endsWith(".json"))
        throw new DeweyError(
          "invalid",
          `${JSON.stringify(name)} is no client that Dewey knows; there are claude-code, codex, gemini, and the path of any client's mcpServers file (.json)`,
        );
      return { label: name, servers: resolve(name), form: "json" };
  }
}

/** How the clients are to start Dewey: this very program, with what is no default. */
export function programFor(invocation: Invocation): Program {
  const { url, dataDir, spoolDir } = connectConfig(invocation);
  const flag = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  return {
    command: selfCommand(),
    flags: [...flag("--url", url), ...flag("--data-dir", dataDir)],
    spoolFlags: flag("--spool-dir", spoolDir),
  };
}

/** The line that a client's hooks run, for a shell. */
export function hookCommand(program: Program): string {
  return [...program.command, "hook", ...program.flags, ...program.spoolFlags].map(quoted).join(" ");
}

/** Every place in a client's file that holds servers: for Claude Code also those that belong to one project. */
export function serversIn(config: Json): Servers[] {
  const projects = isObject(config["projects"]) ? Object.values(config["projects"]).filter(isObject) : [];
  return [config, ...projects].flatMap((place) => (isObject(place["mcpServers"]) ? [place["mcpServers"]] : []));
}

/** A file's object with its servers changed, in every place that has some; `isOwn` says that it is the file's own. */
async function withServers(
  config: Json,
  change: (servers: Servers, isOwn: boolean) => Promise<Servers>,
): Promise<Json> {
  const own = isObject(config["mcpServers"]) ? config["mcpServers"] : undefined;
  const servers = await change(own ?? {}, true);
  const changed = own === undefined && Object.keys(servers).length === 0 ? config : { ...config, mcpServers: servers };
  if (!isObject(config["projects"])) return changed;
  const projects: Json = {};
  for (const [path, project] of Object.entries(config["projects"])) {
    const has = isObject(project) && isObject(project["mcpServers"]);
    projects[path] = has ? { ...project, mcpServers: await change(project["mcpServers"] as Servers, false) } : project;
  }
  return { ...changed, projects };
}

/** A file's text with its servers changed, in the file's own form. */
export async function changedText(
  kind: ClientKind,
  file: ConfigFile,
  change: (servers: Servers, isOwn: boolean) => Promise<Servers>,
): Promise<string> {
  if (kind.form === "json") {
    const config = file.json();
    const after = await withServers(config, change);
    return Bun.deepEquals(after, config) ? (file.text ?? "") : file.jsonText(after);
  }
  const text = file.text ?? "";
  const before: Servers = codexServers(text, file.path);
  const after = await change(before, true);
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const changes = [...names].filter((name) => !Bun.deepEquals(before[name], after[name]));
  return withCodexServers(
    text,
    file.path,
    Object.fromEntries(changes.map((name) => [name, after[name] as Json | undefined])),
  );
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
