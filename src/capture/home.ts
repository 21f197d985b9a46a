import { existsSync, readdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join, sep } from "node:path";

/** The folders in which programs keep a person's files, from which sources derive their paths. */
export interface Home {
  home: string;
  env: Record<string, string | undefined>;
  /** Folders for data, and for settings. */
  data: string[];
  config: string[];
  /** The `User` folders of VS Code and of the editors made from it, also of their servers for remote windows. */
  editors: string[];
}

const editorNames = [
  "Code",
  "Code - Insiders",
  "VSCodium",
  "Cursor",
  "Windsurf",
  "Trae",
  "Kiro",
  "Antigravity",
  "Positron",
];
const editorServers = [".vscode-server", ".vscode-server-insiders", ".cursor-server", ".windsurf-server"];

/** The person's folders, by the conventions of the operating system and the variables that change them. */
export function homeOf(env: Record<string, string | undefined>, platform: string = process.platform): Home {
  const home = env["HOME"] || homedir();
  const library = join(home, "Library/Application Support");
  const roaming = env["APPDATA"] || join(home, "AppData/Roaming");
  const local = env["LOCALAPPDATA"] || join(home, "AppData/Local");
  const own = { darwin: [library], win32: [roaming, local] }[platform] ?? [];
  const data = [env["XDG_DATA_HOME"] || join(home, ".local/share"), ...own];
  const config = [env["XDG_CONFIG_HOME"] || join(home, ".config"), ...own];
  const editors = [
    ...config.flatMap((folder) => editorNames.map((name) => join(folder, name, "User"))),
    ...editorServers.map((server) => join(home, server, "data/User")),
  ];
  return { home, env, data, config, editors };
}

/** The files and folders that a path with `*` for any part of a name stands for, each once, in the order of the names. */
export function placesAt(patterns: string[]): string[] {
  const found = new Map<string, string>();
  for (const path of patterns.flatMap(expanded)) {
    const real = realOf(path);
    if (real !== undefined && !found.has(real)) found.set(real, path);
  }
  return [...found.values()];
}

function expanded(pattern: string): string[] {
  const parts = pattern.split(sep);
  const first = parts.findIndex((part) => part.includes("*"));
  if (first === -1) return existsSync(pattern) ? [pattern] : [];
  const folder = parts.slice(0, first).join(sep);
  return namesIn(folder)
    .filter((name) => fits(name, parts[first] ?? ""))
    .flatMap((name) => expanded([folder, name, ...parts.slice(first + 1)].join(sep)));
}

/** A folder, and the name in it that leads to a place which is not there yet; `*` stands for any part of it. */
export interface AwaitedName {
  folder: string;
  name: string;
}

/** Where something must appear for a pattern to stand for a further place. */
export function awaitedNames(patterns: string[]): AwaitedName[] {
  return patterns.flatMap((pattern) => {
    const [top = "", ...parts] = pattern.split(sep);
    return awaitedBelow(top === "" ? sep : top, parts);
  });
}

function awaitedBelow(folder: string, [name, ...further]: string[]): AwaitedName[] {
  if (name === undefined) return [];
  const awaited = name.includes("*") || !existsSync(join(folder, name)) ? [{ folder, name }] : [];
  const found = name.includes("*")
    ? namesIn(folder).filter((each) => fits(each, name))
    : awaited.length > 0
      ? []
      : [name];
  return [...awaited, ...found.flatMap((each) => awaitedBelow(join(folder, each), further))];
}

/** Whether a name is one that a part of a pattern stands for. */
export function fits(name: string, part: string): boolean {
  const [before = "", after] = part.split("*");
  if (after === undefined) return name === part;
  return name.length >= before.length + after.length && name.startsWith(before) && name.endsWith(after);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
