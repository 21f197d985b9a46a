import { useRef, useState } from "preact/hooks";
import type { CallError } from "../client/connection.ts";
import { call } from "../client/dewey.ts";
import { useReply } from "../client/reply.ts";
import type { ContextSummary } from "../client/replies.ts";
import { useKeys } from "../keys.ts";
import { ContextEditor } from "../parts/context-editor.tsx";
import { ContextFolders } from "../parts/context-folders.tsx";
import { ContextHistory } from "../parts/context-history.tsx";
import { Ask } from "../parts/dialog.tsx";
import { EditDiff } from "../parts/edit-diff.tsx";
import { Frame } from "../parts/frame.tsx";
import { folderName } from "../parts/place.ts";
import { Failure, Loading, Notice, Outdated } from "../parts/states.tsx";
import { Time } from "../parts/time.tsx";
import { say } from "../parts/toast.tsx";
import { address, go, route } from "../route.ts";
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
      {list.error !== undefined && list.value !== undefined && name === undefined && (
        <Outdated error={list.error} again={list.again} />
      )}
      {list.value === undefined && list.error !== undefined ? (
        <Failure error={list.error} again={list.again} />
      ) : list.value === undefined ? (
        <Loading />
      ) : name !== undefined ? (
        <Context key={name} name={name} context={known} listError={list.error} again={list.again} />
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
  /** Why the list of contexts, which tells of this one, could not be read again. */
  listError: CallError | undefined;
  again(): void;
}

function Context({ name, context, listError, again: listAgain }: ContextProps) {
  const isWritten = context !== undefined;
  const reply = useReply("dewey_get_startup_context", isWritten ? { name } : undefined);
  const history = useReply("dewey_startup_context_history", isWritten ? { name, limit: 50 } : undefined);
  const again = () => {
    listAgain();
    reply.again();
    history.again();
  };
  const isActive = context?.is_active ?? false;
  const save = (content: string, set_active: boolean) =>
    change(() => call("dewey_set_startup_context", { name, content, set_active }, CHANGES), again);
  const remove = async () => {
    const content = latest.current ?? "";
    const isDone = await change(() => call("dewey_delete_startup_context", { name, force: isActive }, CHANGES), again);
    if (!isDone) return false;
    go(address("context"));
    say(`Deleted “${name}”`, () => void save(content, isActive));
    return true;
  };
  const tie = (folder: string, to: string | undefined) =>
    void change(() => call("dewey_tie_startup_context", { folder, name: to }, CHANGES), again);
  const stored = isWritten ? reply.value?.context?.content : "";
  // Once a person can write, nothing takes the field away.
  const latest = useRef(stored);
  latest.current = stored ?? latest.current;
  if (latest.current === undefined)
    return reply.error === undefined ? <Loading /> : <Failure error={reply.error} again={again} />;
  const versions = history.value?.versions;
  const shown = Number(route.value.query.get("version")) || versions?.[0]?.version;
  // One notice, whatever failed: all is tried again together.
  const failure = listError ?? reply.error ?? history.error;
  return (
    <>
      {failure !== undefined && <Outdated error={failure} again={again} />}
      <div class="scroller" tabIndex={0} role="region" aria-label="The context">
        <div class="context">
          <ContextEditor
            name={name}
            stored={latest.current}
            isWritten={isWritten}
            isActive={isActive}
            onSave={(text, isActive) => void save(text, isActive)}
            onDelete={remove}
          />
          {isWritten && (
            <ContextFolders
              folders={context.folders ?? []}
              onTie={(folder) => tie(folder, name)}
              onUntie={(folder) => tie(folder, undefined)}
            />
          )}
          {versions !== undefined && (
            <ContextHistory versions={versions} shown={shown}>
              {shown !== undefined && <Changes key={shown} name={name} version={shown} />}
            </ContextHistory>
          )}
        </div>
      </div>
    </>
  );
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

const CHANGES = { changes: true };

/** Does a change, says what went wrong, and reads again what is shown. */
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
