import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { codexServers, withCodexServers } from "../clients/codex-config.ts";
import type { ConfigFile } from "../clients/config-file.ts";
import type { Program, Servers } from "../clients/mcp-servers.ts";
import { connectConfig } from "../config.ts";
import { DeweyError } from "../errors.ts";
import { workTreeOf } from "../safe-file.ts";
import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import type { Invocation } from "./command.ts";
import { selfCommand } from "./self.ts";

/** A client that can be connected: the location and format of its configuration. */
export interface ClientKind {
  /** Its name in messages. */
  label: string;
  /** The file that holds its MCP servers. */
  servers: string;
  form: "json" | "toml";
  /** The file that holds its hooks, if Dewey supports them. */
  hooks?: string;
  /** Folder of the project that these files belong to: its links may be anyone's. */
  project?: string;
  /** A further step that recording its sessions takes. */
  hint?: string;
}

/** The client of that name. A path stands for any client that keeps its servers in an `mcpServers` file. */
export function clientKind(name: string, project: boolean, env: Invocation["env"]): ClientKind {
  const home = env["HOME"] || homedir();
  switch (name) {
    case "claude-code": {
      const folder = env["CLAUDE_CONFIG_DIR"];
      const label = "Claude Code";
      if (project)
        return {
          label,
          servers: resolve(".mcp.json"),
          form: "json",
          hooks: resolve(".claude/settings.local.json"),
          project: resolve("."),
        };
      const hooks = join(folder || join(home, ".claude"), "settings.json");
      return { label, servers: join(folder || home, ".claude.json"), form: "json", hooks };
    }
    case "gemini": {
      const folder = project ? resolve(".gemini") : join(home, ".gemini");
      const place = project ? { project: resolve(".") } : {};
      return { label: "Gemini", servers: join(folder, "settings.json"), form: "json", ...place };
    }
    case "codex": {
      if (project)
        throw new DeweyError("invalid", "codex keeps its MCP servers in one place for all projects; omit --project");
      const folder = env["CODEX_HOME"] || join(home, ".codex");
      const hint = `Codex has no hooks; record its sessions with: dewey import --watch ${join(folder, "sessions")}`;
      return { label: "Codex", servers: join(folder, "config.toml"), form: "toml", hint };
    }
    default:
      if (!name.endsWith(".json"))
        throw new DeweyError(
          "invalid",
          `${JSON.stringify(name)} is not a known client; give claude-code, codex, gemini, or the path of another client's mcpServers file (.json)`,
        );
      return { label: name, servers: resolve(name), form: "json", ...projectOf(resolve(name)) };
  }
}

function projectOf(path: string): { project?: string } {
  const project = workTreeOf(path);
  return project === undefined ? {} : { project };
}

/** How clients start Dewey: this same program, with the settings that are not defaults. */
export function programFor(invocation: Invocation): Program {
  const { url, dataDir, spoolDir } = connectConfig(invocation);
  const flag = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  return {
    command: selfCommand(),
    flags: [...flag("--url", url), ...flag("--data-dir", dataDir)],
    spoolFlags: flag("--spool-dir", spoolDir),
  };
}

/** The shell command that a client's hooks run. */
export function hookCommand(program: Program): string {
  return [...program.command, "hook", ...program.flags, ...program.spoolFlags].map(quoted).join(" ");
}

/** All server tables in a client's file; Claude Code's file also has one per project. */
export function serversIn(config: Json): Servers[] {
  const projects = isObject(config["projects"]) ? Object.values(config["projects"]).filter(isObject) : [];
  return [config, ...projects].flatMap((place) => (isObject(place["mcpServers"]) ? [place["mcpServers"]] : []));
}

/** Changes every server table in a file's object; `isOwn` tells the file's own table from those of projects. */
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

/** A file's text with its servers changed, in the file's own format. */
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
