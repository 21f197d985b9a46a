import type { Command } from "./command.ts";

/**
 * Loads each command, by its name, in the order of the help. Only the requested command is loaded: loading the server's
 * parts would delay a hook, for which a client waits, and the start of the proxy.
 */
const loaders: Record<string, () => Promise<Command>> = {
  up: async () => (await import("./commands/up.ts")).up,
  status: async () => (await import("./commands/status.ts")).status,
  stop: async () => (await import("./commands/stop.ts")).stop,
  serve: async () => (await import("./commands/serve.ts")).serve,
  proxy: async () => (await import("./commands/proxy.ts")).proxy,
  connect: async () => (await import("./commands/connect.ts")).connect,
  disconnect: async () => (await import("./commands/disconnect.ts")).disconnect,
  open: async () => (await import("./commands/open.ts")).open,
  demo: async () => (await import("./commands/demo.ts")).demo,
  search: async () => (await import("./commands/search.ts")).search,
  list: async () => (await import("./commands/list.ts")).list,
  show: async () => (await import("./commands/show.ts")).show,
  tail: async () => (await import("./commands/tail.ts")).tail,
  rename: async () => (await import("./commands/rename.ts")).rename,
  star: async () => (await import("./commands/star.ts")).star,
  unstar: async () => (await import("./commands/star.ts")).unstar,
  resume: async () => (await import("./commands/resume.ts")).resume,
  rm: async () => (await import("./commands/rm.ts")).rm,
  restore: async () => (await import("./commands/restore.ts")).restore,
  context: async () => (await import("./commands/context.ts")).context,
  stats: async () => (await import("./commands/stats.ts")).stats,
  audit: async () => (await import("./commands/audit.ts")).audit,
  import: async () => (await import("./commands/import.ts")).importCommand,
  watch: async () => (await import("./commands/watch.ts")).watch,
  backup: async () => (await import("./commands/backup.ts")).backup,
  recover: async () => (await import("./commands/recover.ts")).recover,
  export: async () => (await import("./commands/export.ts")).exportCommand,
  reindex: async () => (await import("./commands/reindex.ts")).reindex,
  hook: async () => (await import("./commands/hook.ts")).hook,
  doctor: async () => (await import("./commands/doctor.ts")).doctor,
  health: async () => (await import("./commands/health.ts")).health,
  completions: async () => (await import("./commands/completions.ts")).completionsOf(allCommands),
  licenses: async () => (await import("./commands/licenses.ts")).licenses,
  upgrade: async () => (await import("./commands/upgrade.ts")).upgrade,
  unit: async () => (await import("./commands/unit.ts")).unit,
};

export const commandNames: readonly string[] = Object.keys(loaders);

/** The command of that name, or undefined. */
export async function commandNamed(name: string): Promise<Command | undefined> {
  return Object.hasOwn(loaders, name) ? loaders[name]?.() : undefined;
}

/** Every command, for help and completions. */
export function allCommands(): Promise<readonly Command[]> {
  return Promise.all(Object.values(loaders).map((load) => load()));
}
