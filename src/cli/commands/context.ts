import type { ContextHistory, ContextVersion } from "../../store/context-history.ts";
import type { ListedContext, StartupContext } from "../../store/contexts.ts";
import { DeweyError } from "../../errors.ts";
import { clientCommand, jsonText, limitFlag, numberFlag } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import { usageError } from "../command.ts";
import { editText, pipedText } from "../edit.ts";
import { pages } from "../pages.ts";
import { counted, localTime, table } from "../terminal.ts";
import { oneLine, visible } from "../../visible.ts";

const DEFAULT_LIMIT = 20;

export const context = clientCommand({
  name: "context",
  summary: "manages startup contexts: texts that new sessions begin with",
  usage: [
    "dewey context list",
    "dewey context show [NAME] [--version N]",
    "dewey context edit NAME",
    "dewey context use NAME [--everywhere]",
    "dewey context use --none",
    "dewey context history NAME [--limit N]",
    "dewey context restore NAME --version N",
    "dewey context rm NAME [--force]",
  ],
  examples: ["dewey context list", "dewey context edit house-rules", "dewey context use house-rules"],
  about: [
    "edit opens $EDITOR, or reads the new text from stdin if that is not a terminal. use ties a context to the current folder",
    "and all folders below it; with --everywhere the context becomes the active one, for sessions in folders without a",
    "context of their own. show without a name shows the context that a session in this folder would get.",
    "Every change is kept with its author: history lists the changes, and restore brings an earlier text back.",
  ].join(" "),
  flags: {
    version: { value: "N", summary: "this version, by its number in history" },
    everywhere: { summary: "with use: for every folder without a context of its own" },
    none: { summary: "with use: untie this folder from its context" },
    force: { summary: "with rm: even if it is the active one" },
    limit: { value: "N", summary: `with history: maximum number of changes (default ${DEFAULT_LIMIT})` },
  },
  operands: 2,
  async work(talk) {
    const [verb = "", name] = talk.invocation.operands;
    const run = verbs[verb];
    if (run === undefined) throw usageError(context, `needs one of: ${Object.keys(verbs).join(", ")}`);
    await run(talk, name);
  },
});

const verbs: Record<string, (talk: Talk, name: string | undefined) => Promise<void>> = {
  list: listAll,
  show,
  edit,
  use,
  history,
  restore,
  rm: remove,
};

async function listAll({ call, out, terminal, json, invocation }: Talk, name: string | undefined): Promise<void> {
  if (name !== undefined) throw usageError(context, `list does not take a name`);
  const reply = await call<{ contexts: ListedContext[] }>("dewey_list_startup_contexts", {});
  if (json) return out.write(jsonText(reply));
  if (reply.contexts.length === 0) {
    return out.write(
      terminal.prose(invocation.typed("There are no startup contexts; create one with: dewey context edit NAME\n")),
    );
  }
  const rows = reply.contexts.map((each) => [
    oneLine(each.name),
    each.is_active ? "active" : "",
    localTime(each.updated_at),
    (each.folders ?? []).map(oneLine).join(" "),
  ]);
  await out.write(table(terminal, ["CONTEXT", "", "UPDATED", "FOLDERS"], rows));
}

async function show({ call, out, terminal, json, invocation }: Talk, name: string | undefined): Promise<void> {
  const version = numberFlag(context, invocation, "version");
  if (version !== undefined) {
    const kept = await readVersion({ call }, wanted(name), version);
    return out.write(json ? jsonText(kept) : `${terminal.markdown(visible(kept.content)).trimEnd()}\n`);
  }
  const found = await readContext({ call }, name === undefined ? { folder: process.cwd() } : { name });
  if (json) return out.write(jsonText({ context: found }));
  if (found === null) throw noContext(name);
  if (name === undefined && terminal.interactive)
    await out.write(terminal.paint("heading", `${oneLine(found.name)}\n\n`));
  await out.write(`${terminal.markdown(visible(found.content)).trimEnd()}\n`);
}

/** Stores the new text unless someone else has changed the context meanwhile; then its file is kept. */
async function edit({ call, out, json, invocation }: Talk, given: string | undefined): Promise<void> {
  const name = wanted(given);
  const before = await readContext({ call }, { name });
  const edited = process.stdin.isTTY
    ? await editText(before?.content ?? "", name, invocation.env)
    : { text: await pipedText(), discard: () => {}, place: undefined };
  if (edited.text === before?.content) {
    edited.discard();
    return out.write(json ? jsonText({ changed: false }) : "Nothing was changed.\n");
  }
  try {
    if (edited.text === "")
      throw new DeweyError("invalid", "a startup context should not be empty; nothing was changed");
    const now = await readContext({ call }, { name });
    if (now?.updated_at !== before?.updated_at) {
      throw new DeweyError("conflict", `${JSON.stringify(name)} was changed by someone else meanwhile`);
    }
    const reply = await call<{ is_active: boolean }>("dewey_set_startup_context", {
      name,
      content: edited.text,
      set_active: false,
    });
    edited.discard();
    const hint = reply.is_active ? "" : `; tie it to a folder with: ${invocation.typed("dewey context use")} ${name}`;
    await out.write(json ? jsonText({ changed: true, ...reply }) : `${oneLine(name)} is stored${hint}\n`);
  } catch (error) {
    if (!(error instanceof DeweyError) || edited.place === undefined) throw error;
    throw new DeweyError(error.code, `${error.message}; your text is in ${edited.place}`);
  }
}

async function use({ call, out, json, invocation }: Talk, given: string | undefined): Promise<void> {
  const none = invocation.flags["none"] === true;
  if (none && given !== undefined) throw usageError(context, "use takes a name or --none");
  if (invocation.flags["everywhere"] !== true) {
    const folder = process.cwd();
    const reply = await call("dewey_tie_startup_context", { folder, ...(none ? {} : { name: wanted(given) }) });
    const told = none ? `has no startup context of its own` : `begins its sessions with ${oneLine(wanted(given))}`;
    return out.write(json ? jsonText(reply) : `${folder} ${told}\n`);
  }
  const name = wanted(given);
  const found = await readContext({ call }, { name });
  if (found === null) throw noContext(name);
  const reply = await call("dewey_set_startup_context", { name, content: found.content, set_active: true });
  await out.write(json ? jsonText(reply) : `${oneLine(name)} is the active startup context\n`);
}

async function history({ call, out, terminal, json, invocation }: Talk, given: string | undefined): Promise<void> {
  const name = wanted(given);
  const limit = limitFlag(context, invocation) ?? DEFAULT_LIMIT;
  const reply = await pages(limit, "versions", (page) =>
    call<ContextHistory>("dewey_startup_context_history", { name, ...page }, { NAME: "name" }),
  );
  if (json) return out.write(jsonText(reply));
  const rows = reply.versions.map((each) => [
    `${each.version}`,
    localTime(each.changed_at, "second"),
    each.folder === null ? each.change : `${each.change} ${oneLine(each.folder)}`,
    counted(each.content_length, "character"),
    [each.client_name, each.client_version]
      .filter(Boolean)
      .map((part) => oneLine(String(part)))
      .join(" ") || "unknown",
    each.session ?? "",
  ]);
  await out.write(table(terminal, ["VERSION", "WHEN", "CHANGE", "SIZE", "CLIENT", "SESSION"], rows));
  if (rows.length < reply.total)
    await out.write(terminal.paint("quiet", `${rows.length} of ${counted(reply.total, "change")}\n`));
}

async function restore({ call, out, json, invocation }: Talk, given: string | undefined): Promise<void> {
  const name = wanted(given);
  const version = numberFlag(context, invocation, "version");
  if (version === undefined)
    throw usageError(context, "restore needs --version N; dewey context history lists the versions");
  const { content } = await readVersion({ call }, name, version);
  const reply = await call("dewey_set_startup_context", { name, content, set_active: false });
  await out.write(json ? jsonText(reply) : `${oneLine(name)} has the text of version ${version} again\n`);
}

async function remove({ call, out, json, invocation }: Talk, given: string | undefined): Promise<void> {
  const name = wanted(given);
  const force = invocation.flags["force"] === true;
  const reply = await call("dewey_delete_startup_context", { name, force }, { "--force": "force" });
  const hint = `its history is kept: ${invocation.typed("dewey context history")} ${name}`;
  await out.write(json ? jsonText(reply) : `${oneLine(name)} is deleted; ${hint}\n`);
}

type Calls = Pick<Talk, "call">;

async function readContext(
  { call }: Calls,
  which: { name: string } | { folder: string },
): Promise<StartupContext | null> {
  return (await call<{ context: StartupContext | null }>("dewey_get_startup_context", which, { NAME: "name" })).context;
}

async function readVersion(
  { call }: Calls,
  name: string,
  version: number,
): Promise<ContextVersion & { content: string }> {
  const reply = await call<ContextHistory>(
    "dewey_startup_context_history",
    { name, version },
    { NAME: "name", "--version": "version" },
  );
  const [kept] = reply.versions;
  if (kept?.content === undefined) throw new DeweyError("internal", "the server's history holds no content");
  return { ...kept, content: kept.content };
}

function wanted(name: string | undefined): string {
  if (name === undefined) throw usageError(context, "needs the name of a context; dewey context list shows them");
  return name;
}

function noContext(name: string | undefined): DeweyError {
  const remedy = "dewey context list shows all";
  if (name === undefined) return new DeweyError("not_found", `no startup context is active here; ${remedy}`);
  return new DeweyError("not_found", `there is no startup context ${JSON.stringify(name)}; ${remedy}`);
}
