import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../client/dewey.ts";
import { useReply } from "../client/reply.ts";
import type { ContextSummary, ContextVersion } from "../client/replies.ts";
import { useKeys } from "../keys.ts";
import { Ask } from "../parts/dialog.tsx";
import { EditDiff } from "../parts/edit-diff.tsx";
import { Frame } from "../parts/frame.tsx";
import { Icon } from "../parts/icon.tsx";
import { folderName } from "../parts/place.ts";
import { Failure, Loading, Notice, Outdated } from "../parts/states.tsx";
import { Time, counted } from "../parts/time.tsx";
import { say } from "../parts/toast.tsx";
import { address, go, withQuery } from "../route.ts";
import type { Route } from "../route.ts";
import { visible } from "../../visible.ts";
import type { View } from "../view.ts";

export const contextsView: View = {
  name: "context",
  entry: { title: "Contexts", icon: "context", key: "x" },
  Show: Contexts,
};

function Contexts({ route: { segments } }: { route: Route }) {
  const [, name] = segments;
  const list = useReply("dewey_list_startup_contexts", {});
  const [isNaming, setIsNaming] = useState(false);
  const contexts = list.value?.contexts ?? [];
  const known = contexts.find((each) => each.name === name);
  useKeys([{ keys: "c", title: "New context", run: () => setIsNaming(true) }]);
  return (
    <Frame
      title={name ?? "Contexts"}
      head={<Head name={name} context={known} onNew={() => setIsNaming(true)} />}
      aside={list.value === undefined ? undefined : <Names contexts={contexts} chosen={name} />}
    >
      {list.error !== undefined && list.value !== undefined && <Outdated error={list.error} again={list.again} />}
      {list.value === undefined && list.error !== undefined ? (
        <Failure error={list.error} again={list.again} />
      ) : list.value === undefined ? (
        <Loading />
      ) : name !== undefined ? (
        <Context key={name} name={name} context={known} again={list.again} />
      ) : contexts.length === 0 ? (
        <Nothing onNew={() => setIsNaming(true)} />
      ) : (
        <List contexts={contexts} />
      )}
      {isNaming && (
        <Ask
          label="Name of the new context"
          action="Write it"
          value=""
          onClose={() => setIsNaming(false)}
          onAnswer={(text) => go(addressOf(text))}
        />
      )}
    </Frame>
  );
}

function addressOf(name: string): string {
  return address(`context/${encodeURIComponent(name)}`);
}

interface HeadProps {
  name: string | undefined;
  context: ContextSummary | undefined;
  onNew(): void;
}

function Head({ name, context, onNew }: HeadProps) {
  return (
    <>
      <h1 class="one-line" dir="auto">
        {visible(name ?? "Contexts")}
      </h1>
      {context?.is_active && <span class="badge badge-good">active</span>}
      {name === undefined && (
        <button type="button" class="button head-end" onClick={onNew}>
          New context
        </button>
      )}
    </>
  );
}

function Names({ contexts, chosen }: { contexts: readonly ContextSummary[]; chosen: string | undefined }) {
  return (
    <nav aria-label="Contexts" class="facet">
      {contexts.map(({ name, is_active }) => (
        <a key={name} class="facet-link" href={addressOf(name)} aria-current={name === chosen ? "true" : undefined}>
          <bdi class="one-line">{visible(name)}</bdi>
          {is_active && <span class="facet-count">active</span>}
        </a>
      ))}
    </nav>
  );
}

function Nothing({ onNew }: { onNew: () => void }) {
  return (
    <Notice title="There are no startup contexts yet">
      <p>Every new session of an agent reads the active one, or the one that is tied to its folder.</p>
      <p>
        <button type="button" class="button" onClick={onNew}>
          Write the first
        </button>
      </p>
    </Notice>
  );
}

function List({ contexts }: { contexts: readonly ContextSummary[] }) {
  return (
    <div class="scroller" tabIndex={0} role="region" aria-label="Contexts">
      <p class="view-hint quiet">
        Every new session reads the active context, or the one that is tied to its folder or to the nearest folder
        above.
      </p>
      <ul class="rows">
        {contexts.map(({ name, is_active, folders = [], updated_at }) => (
          <li class="list-row context-row" key={name}>
            <a class="list-title" href={addressOf(name)}>
              <bdi class="one-line">{visible(name)}</bdi>
            </a>
            {is_active && <span class="badge badge-good">active</span>}
            {folders.length > 0 && (
              <bdi class="one-line quiet" title={visible(folders.join("\n"))}>
                {folders.map(folderName).join(", ")}
              </bdi>
            )}
            <span class="quiet list-time numeric">
              <Time at={updated_at} />
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface ContextProps {
  name: string;
  /** Undefined for one that is not written yet. */
  context: ContextSummary | undefined;
  again(): void;
}

/** Does a change, says what went wrong, and reads the list again. */
async function change(work: () => Promise<unknown>, again: () => void): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return false;
  } finally {
    again();
  }
}

const CHANGES = { changes: true };

function Context({ name, context, again: listAgain }: ContextProps) {
  const isWritten = context !== undefined;
  const reply = useReply("dewey_get_startup_context", isWritten ? { name } : undefined);
  const history = useReply("dewey_startup_context_history", isWritten ? { name, limit: 50 } : undefined);
  const again = () => {
    listAgain();
    reply.again();
    history.again();
  };
  const stored = isWritten ? reply.value?.context?.content : "";
  // Once a person can write, nothing takes the field away.
  const latest = useRef(stored);
  latest.current = stored ?? latest.current;
  if (latest.current === undefined)
    return reply.error === undefined ? <Loading /> : <Failure error={reply.error} again={again} />;
  const failure = reply.error ?? history.error;
  return (
    <>
      {failure !== undefined && <Outdated error={failure} again={again} />}
      <div class="scroller" tabIndex={0} role="region" aria-label="The context">
        <div class="context">
          <Editor name={name} context={context} stored={latest.current} again={again} />
          {isWritten && <Folders name={name} folders={context.folders ?? []} again={again} />}
          {history.value !== undefined && <History name={name} versions={history.value.versions} />}
        </div>
      </div>
    </>
  );
}

interface EditorProps extends ContextProps {
  stored: string;
}

/** What a person has written and not saved, by the context's name: leaving the view, or being signed out, does not lose it. */
const drafts = new Map<string, string>();

/** Asks a person who closes the page with something unsaved in it. */
function useUnsaved(isUnsaved: boolean): void {
  useEffect(() => {
    if (!isUnsaved) return;
    const leaving = (event: Event) => event.preventDefault();
    addEventListener("beforeunload", leaving);
    return () => removeEventListener("beforeunload", leaving);
  }, [isUnsaved]);
}

function Editor({ name, context, stored, again }: EditorProps) {
  const [draft, setDraft] = useState(drafts.get(name));
  const text = draft ?? stored;
  const write = (words: string) => {
    if (words === stored) drafts.delete(name);
    else drafts.set(name, words);
    setDraft(drafts.get(name));
  };
  // What somebody else wrote meanwhile replaces the text, unless a person has begun to change it.
  useEffect(() => write(draft ?? stored), [stored]);
  const isChanged = text !== stored;
  useUnsaved(isChanged);
  const save = (set_active: boolean) =>
    change(() => call("dewey_set_startup_context", { name, content: text, set_active }, CHANGES), again);
  const remove = async () => {
    const wasActive = context?.is_active ?? false;
    const isDone = await change(() => call("dewey_delete_startup_context", { name, force: wasActive }, CHANGES), again);
    if (!isDone) return;
    drafts.delete(name);
    go(address("context"));
    const restore = () => call("dewey_set_startup_context", { name, content: stored, set_active: wasActive }, CHANGES);
    say(`Deleted “${name}”`, () => void change(restore, again));
  };
  const saved = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !isChanged) return;
    event.preventDefault();
    void save(context?.is_active ?? false);
  };
  return (
    <section aria-label="Text">
      <textarea
        class="field context-text"
        aria-label="What a session should know when it begins"
        placeholder="What a session should know when it begins"
        dir="auto"
        rows={10}
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={saved}
      />
      <div class="context-actions">
        <button
          type="button"
          class="button primary"
          disabled={!isChanged || text.trim() === ""}
          title="Ctrl Enter"
          onClick={() => void save(context?.is_active ?? false)}
        >
          Save
        </button>
        {context?.is_active !== true && (
          <button type="button" class="button" disabled={text.trim() === ""} onClick={() => void save(true)}>
            {isChanged ? "Save and activate" : "Activate"}
          </button>
        )}
        {isChanged && context !== undefined && (
          <button type="button" class="button" onClick={() => write(stored)}>
            Take back
          </button>
        )}
        {context !== undefined && (
          <button
            type="button"
            class="icon-button head-end"
            aria-label="Delete the context"
            title="Delete"
            onClick={() => void remove()}
          >
            <Icon name="trash" />
          </button>
        )}
      </div>
    </section>
  );
}

function Folders({ name, folders, again }: { name: string; folders: readonly string[]; again: () => void }) {
  const [isAsking, setIsAsking] = useState(false);
  const tie = (folder: string, to: string | undefined) =>
    change(() => call("dewey_tie_startup_context", { folder, name: to }, CHANGES), again);
  return (
    <section class="context-part" aria-label="Folders">
      <h2>Folders</h2>
      <p class="quiet">Sessions that begin in these folders, or below, read this context instead of the active one.</p>
      <ul class="ties">
        {folders.map((folder) => (
          <li key={folder}>
            <bdi>{visible(folder)}</bdi>
            <button
              type="button"
              class="icon-button"
              aria-label={`Untie ${visible(folder)}`}
              title="Untie"
              onClick={() => void tie(folder, undefined)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      <button type="button" class="button" onClick={() => setIsAsking(true)}>
        Tie to a folder
      </button>
      {isAsking && (
        <Ask
          label="The folder, as an absolute path"
          action="Tie"
          value=""
          onClose={() => setIsAsking(false)}
          onAnswer={(folder) => void tie(folder, name)}
        />
      )}
    </section>
  );
}

function History({ name, versions }: { name: string; versions: readonly ContextVersion[] }) {
  const shown = Number(new URLSearchParams(location.search).get("version")) || versions[0]?.version;
  return (
    <section class="context-part versions" aria-label="History">
      <h2>History</h2>
      <p class="quiet">{counted(versions.length, "change")}, the latest first</p>
      <ol class="version-list">
        {versions.map((each) => (
          <li key={each.version}>
            <a
              class="version"
              href={withQuery({ version: each.version })}
              aria-current={each.version === shown ? "true" : undefined}
            >
              <span class="numeric quiet">{each.version}</span>
              <span>{visible(saidOf(each))}</span>
              <span class="quiet one-line">
                {each.client_name !== null && <bdi>{visible(each.client_name)}</bdi>} <Time at={each.changed_at} />
              </span>
            </a>
            {each.version === shown && <Changes name={name} version={each.version} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

function saidOf({ change: what, folder, is_active }: ContextVersion): string {
  if (folder !== null) return `${what} ${folder}`;
  return is_active ? `${what}, active` : what;
}

/** What a version changed in the one before it. */
function Changes({ name, version }: { name: string; version: number }) {
  const after = useReply("dewey_startup_context_history", { name, version });
  const before = useReply("dewey_startup_context_history", version > 1 ? { name, version: version - 1 } : undefined);
  const [now] = after.value?.versions ?? [];
  const [earlier] = before.value?.versions ?? [];
  // Only so many versions are kept: the first of them follows upon none.
  const failed = [after, before].find(({ error }) => error !== undefined && error.code !== "not_found");
  if (failed?.error !== undefined) return <Failure error={failed.error} again={failed.again} />;
  if (now === undefined || (version > 1 && before.value === undefined && before.error === undefined))
    return <Loading rows={2} />;
  const [old, text] = [version > 1 ? (earlier?.content ?? "") : "", now.content ?? ""];
  if (old === text) return <p class="quiet version-same">The text stayed as it was.</p>;
  return <EditDiff before={`${old}\n`} after={`${text}\n`} />;
}
