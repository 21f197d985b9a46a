import { BACKUP_SUFFIX } from "../../clients/config-file.ts";
import type { ConfigFile } from "../../clients/config-file.ts";
import { withHooks, withoutHooks } from "../../clients/hooks.ts";
import { DEWEY, withDewey, withProxy, withoutProxy } from "../../clients/mcp-servers.ts";
import type { Rewiring, Program, Servers } from "../../clients/mcp-servers.ts";
import { signInProblem } from "../../clients/sign-in.ts";
import { connectConfig, obeyed } from "../../config.ts";
import { DeweyError } from "../../errors.ts";
import { holdsSecret } from "../../wire/address.ts";
import { codexServers } from "../../clients/codex-config.ts";
import { requireOwnServer } from "../../wire/owner.ts";
import { jsonText } from "../client-command.ts";
import {
  changedText,
  clientKind,
  configFile,
  hookCommand,
  programFor,
  requireSharedName,
  serversIn,
  withChangedHooks,
} from "../client-kind.ts";
import type { ClientKind } from "../client-kind.ts";
import { conflictText, conflictsOf } from "../client-scopes.ts";
import type { Conflict } from "../client-scopes.ts";
import type { Command, Invocation } from "../command.ts";
import { usageError } from "../command.ts";
import { askHealth } from "../health.ts";
import { installationOf, NPM_PACKAGE } from "../installation.ts";
import { prose } from "../prose.ts";

export const connect: Command = {
  name: "connect",
  summary: "connects a client: adds Dewey, routes its MCP servers through the proxy, and installs hooks",
  usage: ["dewey connect CLIENT [--project] [--upstream NAME …] [--print] [--json]"],
  examples: ["dewey connect claude-code"],
  about: [
    "CLIENT is claude-code, codex, gemini, or the path of another client's mcpServers file. The rest of its configuration is",
    `kept, and each changed file gets a backup beside it (${BACKUP_SUFFIX}). Running it again changes nothing. Servers that`,
    "sign in by OAuth stay direct and are listed. Claude Code, Codex and Gemini also get hooks. With --project the files name",
    "dewey as the PATH finds it and hold nothing of this machine, so that a team can commit them; their backups lie in the",
    "data folder. DEWEY_TOKEN is never written to a file: the client needs it in its environment. Without it, a local server",
    "of another user is refused. dewey disconnect CLIENT undoes everything.",
  ].join(" "),
  settings: obeyed.connect,
  flags: {
    project: { summary: "change this folder's configuration instead of the user's" },
    upstream: { value: "NAME", summary: "route only this server through the proxy; may be repeated", many: true },
    print: { summary: "print what would be written, and write nothing" },
    json: { summary: "print JSON, for programs" },
  },
  operands: 1,
  async run(invocation) {
    const { flags, print } = invocation;
    const [name] = invocation.operands;
    if (name === undefined) throw usageError(connect, "needs a client: claude-code, codex, gemini, or a file");
    const { server } = connectConfig(invocation);
    // The conversations of a connected client go to this server.
    if (await askHealth(server.url)) requireOwnServer(server);
    const kind = clientKind(name, flags["project"] === true, invocation.env);
    if (kind.isShared) requireSharedName(invocation);
    const program = programFor(invocation, kind.isShared);
    refuseSecrets(program);
    const wanted = Array.isArray(flags["upstream"]) ? flags["upstream"] : undefined;
    const plan = await planned(kind, program, wanted, invocation);
    const changes = plan.files.filter(({ file, text }) => text !== (file.text ?? ""));
    if (flags["print"] !== true) for (const change of changes) write(change);
    if (flags["json"] === true) print(jsonText(report(plan)));
    else
      print(
        flags["print"] === true
          ? plan.files.map(drawn).join("\n")
          : prose(told(kind, undoing(name, kind), plan, invocation.typed)),
      );
    return 0;
  },
};

interface PlannedFile {
  file: ConfigFile;
  text: string;
  /** Whether the file holds nothing of Dewey's yet. */
  isUntouched: boolean;
}

/** Keeps the content from before Dewey: a second connect must not replace it by what the first one wrote. */
function write({ file, text, isUntouched }: PlannedFile): void {
  if (isUntouched) file.keepBackup();
  file.write(text);
}

interface Plan extends Rewiring {
  files: PlannedFile[];
  hooks: boolean;
  /** Whether another server already has Dewey's name. */
  taken: boolean;
  /** Servers that the client's other scope names, too. */
  conflicts: Conflict[];
}

/** Computes the new text of every file before any is written, so that a mistake in one changes none. */
async function planned(
  kind: ClientKind,
  program: Program,
  wanted: string[] | undefined,
  invocation: Invocation,
): Promise<Plan> {
  const file = configFile(kind, kind.servers, invocation);
  const outcome: Rewiring = { proxied: [], direct: [] };
  refuseOthersFile(kind, file);
  refuseUnknown(kind, file, wanted);
  let taken = false;
  const text = await changedText(kind, file, async (servers: Servers, isOwn) => {
    const done = await withProxy(servers, program, (each) => wanted?.includes(each) ?? true, signInProblem);
    outcome.proxied.push(...done.proxied);
    outcome.direct.push(...done.direct);
    if (!isOwn) return done.servers;
    const after = withDewey(done.servers, program);
    taken = DEWEY in done.servers && after === done.servers;
    return after;
  });
  const without = await changedText(kind, file, (servers) => Promise.resolve(withoutProxy(servers, {}, program)));
  const servers = { file, text, isUntouched: without === (file.text ?? "") };
  const conflicts = conflictsOf(kind, text);
  const files = kind.hooks === undefined ? [servers] : withHooksOf(kind, kind.hooks, servers, program, invocation);
  return { ...outcome, files, hooks: kind.hooks !== undefined, taken, conflicts };
}

/** Adds the hooks, to the file of the servers where the client keeps both in one. */
function withHooksOf(
  kind: ClientKind,
  hooks: NonNullable<ClientKind["hooks"]>,
  servers: PlannedFile,
  program: Program,
  invocation: Invocation,
): PlannedFile[] {
  const isOne = hooks.file === kind.servers;
  const file = isOne ? servers.file : configFile(kind, hooks.file, invocation);
  const before = file.json();
  const hadNone = Bun.deepEquals(withoutHooks(before), before);
  const text = withChangedHooks(file, isOne ? servers.text : (file.text ?? ""), (settings) =>
    withHooks(settings, hookCommand(program, hooks.client), hooks.client),
  );
  const isUntouched = hadNone && (!isOne || servers.isUntouched);
  return isOne ? [{ file, text, isUntouched }] : [servers, { file, text, isUntouched }];
}

/** A file that is named by its path must be there and be one of servers: a typing error must not make a new one. */
function refuseOthersFile(kind: ClientKind, file: ConfigFile): void {
  if (kind.hooks !== undefined) return;
  if (file.text === undefined)
    throw new DeweyError(
      "not_found",
      `there is no ${file.path}; check the path, or create the file with: {"mcpServers": {}}`,
    );
  const config = file.json();
  if (Object.keys(config).length === 0 || "mcpServers" in config) return;
  throw new DeweyError(
    "invalid",
    `${file.path} has no mcpServers; if its client reads them there, add "mcpServers": {} to it first`,
  );
}

/** The address of the server is written on command lines, which everybody on the machine can read. */
function refuseSecrets({ flags }: Program): void {
  const url = flags[flags.indexOf("--url") + 1];
  if (!flags.includes("--url") || url === undefined || !holdsSecret(url)) return;
  throw new DeweyError(
    "invalid",
    "DEWEY_URL should hold no user, password or key here, since command lines would show them; set it in the client's environment, and unset it for dewey connect",
    { field: "DEWEY_URL" },
  );
}

function refuseUnknown(kind: ClientKind, file: ConfigFile, wanted: string[] = []): void {
  const places = kind.form === "json" ? serversIn(file.json()) : [codexServers(file.text ?? "", file.path)];
  const known = new Set(places.flatMap((servers) => Object.keys(servers)));
  const unknown = wanted.find((name) => !known.has(name));
  if (unknown === undefined) return;
  const there = [...known].join(", ") || "none";
  throw new DeweyError("invalid", `${file.path} has no server ${JSON.stringify(unknown)}; its servers: ${there}`);
}

function report({ files, proxied, direct, hooks, conflicts }: Plan): Record<string, unknown> {
  return {
    files: files.map(({ file, text }) => ({ path: file.path, changed: text !== (file.text ?? "") })),
    proxied,
    direct,
    hooks,
    conflicts,
  };
}

/** Shows only the parts of a file that Dewey changes. */
function drawn({ file, text }: PlannedFile): string {
  if (!text.startsWith("{")) return `# ${file.path}\n${text}`;
  const config = JSON.parse(text) as Record<string, unknown>;
  const ours = Object.entries(config).filter(([key]) => key === "mcpServers" || key === "hooks");
  return `# ${file.path}\n${jsonText(Object.fromEntries(ours))}`;
}

/** The command that undoes this one. */
function undoing(name: string, { isShared }: ClientKind): string {
  return `dewey disconnect ${name}${isShared ? " --project" : ""}`;
}

/** Whether the files name a program that will not stay. */
const isPassing = (): boolean => installationOf(process.execPath, undefined).kind === "npx";

const NPX_NOTICE = `npx keeps this program for a time only. For good: npm install --global ${NPM_PACKAGE}, and connect again.`;

function told(kind: ClientKind, undo: string, plan: Plan, typed: Invocation["typed"]): string {
  const { files, proxied, direct, taken, conflicts } = plan;
  const changed = files.filter(({ file, text }) => text !== (file.text ?? ""));
  const lines = files.map((each) => {
    const backup = each.file.backup() === undefined ? "" : `; before: ${each.file.backupPath}`;
    return `  ${each.file.path}  (${changed.includes(each) ? `written${backup}` : "unchanged"})`;
  });
  return [
    changed.length > 0 ? `${kind.label} is connected to Dewey.` : `${kind.label} was already connected to Dewey.`,
    ...lines,
    ...(kind.isHere === false
      ? [`  ${kind.label} was not found on this machine; it reads this once it is installed.`]
      : []),
    ...(taken ? [`  Another server is named ${DEWEY}; it was kept.`] : []),
    `  Through the proxy: ${proxied.join(", ") || "no server"}.`,
    ...direct.map((server) => `  Direct: ${server.name}, which ${server.reason}.`),
    ...conflicts.map((conflict) => `  ${conflictText(conflict)}`),
    ...kind.recording.map((line) => `  ${typed(line)}`),
    ...(isPassing() ? [`  ${NPX_NOTICE}`] : []),
    `New sessions use this. To undo it: ${typed(undo)}`,
    "",
  ].join("\n");
}
