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
  const [before = "", after = ""] = (parts[first] ?? "").split("*");
  const fits = (name: string) =>
    name.length >= before.length + after.length && name.startsWith(before) && name.endsWith(after);
  return namesIn(folder)
    .filter(fits)
    .flatMap((name) => expanded([folder, name, ...parts.slice(first + 1)].join(sep)));
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
