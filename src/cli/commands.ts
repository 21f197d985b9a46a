import type { Command } from "./command.ts";

/**
 * How each command of the binary is loaded, by its name, in the order of the help. Only what is asked for is loaded: the
 * parts of the server take longer to be made ready than a client waits for a hook, and than the proxy takes to start.
 */
const loaders: Record<string, () => Promise<Command>> = {
  up: async () => (await import("./up.ts")).up,
  serve: async () => (await import("./serve.ts")).serve,
  proxy: async () => (await import("./proxy.ts")).proxy,
  connect: async () => (await import("./connect.ts")).connect,
  disconnect: async () => (await import("./disconnect.ts")).disconnect,
  search: async () => (await import("./search.ts")).search,
  list: async () => (await import("./list.ts")).list,
  show: async () => (await import("./show.ts")).show,
  tail: async () => (await import("./tail.ts")).tail,
  rm: async () => (await import("./rm.ts")).rm,
  restore: async () => (await import("./restore.ts")).restore,
  context: async () => (await import("./context.ts")).context,
  stats: async () => (await import("./stats.ts")).stats,
  import: async () => (await import("./import.ts")).importCommand,
  backup: async () => (await import("./backup.ts")).backup,
  recover: async () => (await import("./recover.ts")).recover,
  export: async () => (await import("./export.ts")).exportCommand,
  reindex: async () => (await import("./reindex.ts")).reindex,
  hook: async () => (await import("./hook.ts")).hook,
  doctor: async () => (await import("./doctor.ts")).doctor,
  health: async () => (await import("./health.ts")).health,
  completions: async () => (await import("./completions.ts")).completionsOf(allCommands),
  unit: async () => (await import("./unit.ts")).unit,
};

/** The command, or undefined when there is none of that name. */
export async function commandNamed(name: string): Promise<Command | undefined> {
  return Object.hasOwn(loaders, name) ? loaders[name]?.() : undefined;
}

/** Every command, for those who tell of all: help and completions. */
export function allCommands(): Promise<readonly Command[]> {
  return Promise.all(Object.values(loaders).map((load) => load()));
}
