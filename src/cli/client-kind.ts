import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { codexServers, withCodexServers } from "../clients/codex-config.ts";
import { ConfigFile } from "../clients/config-file.ts";
import type { HookClient } from "../clients/hooks.ts";
import type { Program, Servers } from "../clients/mcp-servers.ts";
import { connectConfig } from "../config.ts";
import { DeweyError } from "../errors.ts";
import { workTreeOf } from "../safe-file.ts";
import { isObject } from "../wire/frame.ts";
import { isLoopback } from "../loopback.ts";
import type { Json } from "../wire/frame.ts";
import type { Invocation } from "./command.ts";
import { didYouMean } from "../nearest.ts";
import { selfCommand } from "./self.ts";
import { shellWord } from "./shell-word.ts";

/** A client that can be connected: the location and format of its configuration. */
export interface ClientKind {
  /** Its name in messages. */
  label: string;
  /** The file that holds its MCP servers. */
  servers: string;
  form: "json" | "toml";
  /** The file that holds its hooks, if Dewey supports them. It may be the one of the servers. */
  hooks?: { client: HookClient; file: string };
  /** Folder of the project that these files belong to: its links may be anyone's. */
  project?: string;
  /** Whether teams commit these files, so that they hold nothing of this machine, and no backup lies beside them. */
  isShared: boolean;
  /** The file of the other scope, the user's or this folder's, that the client also reads here. */
  otherScope?: string;
  /** Whether something of the client is on this machine; undefined where that cannot be told. */
  isHere?: boolean;
  /** How its sessions are recorded, beside its calls through the proxy. */
  recording: string[];
}

const BY_IMPORT = "Earlier sessions come with dewey import, and all sessions, without hooks, with dewey watch.";

/** The clients that Dewey knows by name. */
const CLIENTS = ["claude-code", "codex", "gemini"];

/** The client of that name. A path stands for any client that keeps its servers in an `mcpServers` file. */
export function clientKind(name: string, project: boolean, env: Invocation["env"]): ClientKind {
  const home = env["HOME"] || homedir();
  const isFound = (program: string, ...places: string[]) =>
    places.some((place) => existsSync(place)) || Bun.which(program, { PATH: env["PATH"] ?? "" }) !== null;
  switch (name) {
    case "claude-code":
      return claudeCode(home, project, env["CLAUDE_CONFIG_DIR"], isFound);
    case "gemini": {
      const [own, here] = [join(home, ".gemini"), resolve(".gemini")];
      const file = join(project ? here : own, "settings.json");
      return {
        label: "Gemini",
        servers: file,
        form: "json",
        hooks: { client: "gemini", file },
        ...scopes(project, join(own, "settings.json"), join(here, "settings.json")),
        isHere: isFound("gemini", own),
        recording: [
          "Kept live: its prompts, answers and tool uses, by hooks, in folders that Gemini trusts; elsewhere it runs none.",
          BY_IMPORT,
        ],
      };
    }
    case "codex": {
      if (project)
        throw new DeweyError("invalid", "dewey connect codex changes the user's configuration only; omit --project");
      const folder = env["CODEX_HOME"] || join(home, ".codex");
      const file = join(folder, "config.toml");
      return {
        label: "Codex",
        servers: file,
        form: "toml",
        hooks: { client: "codex", file: join(folder, "hooks.json") },
        ...scopes(false, file, resolve(".codex/config.toml")),
        isHere: isFound("codex", folder),
        recording: [
          "Kept live once you trust the hooks: start codex, and confirm them with /hooks. Until then Codex runs none.",
          BY_IMPORT,
        ],
      };
    }
    default:
      if (!name.endsWith(".json"))
        throw new DeweyError(
          "invalid",
          `${JSON.stringify(name)} is not a known client${didYouMean(name, CLIENTS)}; give ${CLIENTS.join(", ")}, or the path of another client's mcpServers file (.json)`,
        );
      return {
        label: name,
        servers: resolve(name),
        form: "json",
        ...projectOf(resolve(name)),
        isShared: false,
        recording: [
          "Kept live: only its MCP calls. Its sessions come with dewey import or dewey watch, if these know its files.",
        ],
      };
  }
}

function claudeCode(
  home: string,
  project: boolean,
  configDir: string | undefined,
  isFound: (program: string, ...places: string[]) => boolean,
): ClientKind {
  const folder = configDir || join(home, ".claude");
  const [own, here] = [join(configDir || home, ".claude.json"), resolve(".mcp.json")];
  const hooks = project ? resolve(".claude/settings.local.json") : join(folder, "settings.json");
  return {
    label: "Claude Code",
    servers: project ? here : own,
    form: "json",
    hooks: { client: "claude-code", file: hooks },
    ...scopes(project, own, here),
    isHere: isFound("claude", folder, own),
    recording: [
      "Kept live: its sessions with their sub-agents, by hooks, which also supply the startup context.",
      BY_IMPORT,
    ],
  };
}

function scopes(project: boolean, own: string, here: string): Pick<ClientKind, "project" | "isShared" | "otherScope"> {
  return {
    ...(project ? { project: resolve(".") } : {}),
    isShared: project,
    ...(own === here ? {} : { otherScope: project ? own : here }),
  };
}

function projectOf(path: string): { project?: string } {
  const project = workTreeOf(path);
  return project === undefined ? {} : { project };
}

/** A file of a client. What is shared gets its backup in Dewey's own folder, where nobody commits it. */
export function configFile(kind: ClientKind, path: string, invocation: Invocation): ConfigFile {
  const { backupDir } = connectConfig(invocation);
  return new ConfigFile(path, kind.project, kind.isShared ? backupDir : undefined);
}

/** The program's name in files that teams commit. */
const SHARED_NAME = "dewey";

/**
 * How clients start Dewey: this same program, with the settings that are not defaults; in shared files by its name alone,
 * and with the server's address if it is not one of this machine. Throws `invalid` if nothing of that name is on the PATH.
 */
export function programFor(invocation: Invocation, isShared: boolean): Program {
  const { url, dataDir, spoolDir } = connectConfig(invocation);
  const flag = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  if (!isShared)
    return {
      command: selfCommand(),
      flags: [...flag("--url", url), ...flag("--data-dir", dataDir)],
      spoolFlags: flag("--spool-dir", spoolDir),
    };
  const isOfAll = url !== undefined && !isLoopback(new URL(url).hostname);
  return { command: [SHARED_NAME], flags: isOfAll ? ["--url", url] : [], spoolFlags: [] };
}

/** Throws `invalid` when shared files would name a program that is not on the PATH. */
export function requireSharedName({ env }: Invocation): void {
  if (Bun.which(SHARED_NAME, { PATH: env["PATH"] ?? "" }) !== null) return;
  const own = selfCommand().join(" ");
  throw new DeweyError(
    "invalid",
    `--project writes the name ${SHARED_NAME} for everybody's PATH, and yours has none; link it there, such as: ln -s ${own} ~/.local/bin/${SHARED_NAME}`,
  );
}

/** The shell command that a client's hooks run. */
export function hookCommand(program: Program, client: HookClient): string {
  // Claude Code's needs no name: it was there before the others.
  const named = client === "claude-code" ? [] : ["--client", client];
  return [...program.command, "hook", ...named, ...program.flags, ...program.spoolFlags].map(shellWord).join(" ");
}

/** A file's JSON text with its hooks changed; the same text if that changes nothing. */
export function withChangedHooks(file: ConfigFile, text: string, change: (settings: Json) => Json): string {
  const before = text.trim() === "" ? {} : (JSON.parse(text) as Json);
  const after = change(before);
  return Bun.deepEquals(after, before) ? text : file.jsonText(after);
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
