import { visible } from "../../visible.ts";
import { useRef, useState } from "preact/hooks";
import { call } from "../client/dewey.ts";
import { usePages } from "../client/pages.ts";
import type { ConversationList, ConversationSummary } from "../client/replies.ts";
import { useKeys } from "../keys.ts";
import { Ask } from "../parts/dialog.tsx";
import { Facet, FacetLink } from "../parts/facets.tsx";
import { Frame } from "../parts/frame.tsx";
import { Icon } from "../parts/icon.tsx";
import { PERIODS, folderName, periodStart, titleOf } from "../parts/place.ts";
import { MoreRows } from "../parts/more-rows.tsx";
import { useScrollPlace } from "../parts/scroll-place.ts";
import { Failure, Loading, Notice } from "../parts/states.tsx";
import { Time, counted, grouped } from "../parts/time.tsx";
import { say } from "../parts/toast.tsx";
import { address, withQuery } from "../route.ts";
import type { Route } from "../route.ts";
import type { View } from "../view.ts";

/** Conversations that a page of the list shows. */
const PAGE_ROWS = 100;

export const listView: View = {
  name: "conversations",
  entry: { title: "Conversations", icon: "list", key: "l" },
  Show: List,
};

function List({ route: { query } }: { route: Route }) {
  const inTrash = query.has("trash");
  const list = usePages("dewey_list_conversations", {
    client: query.get("client") ?? undefined,
    folder: query.get("folder") ?? undefined,
    starred: query.has("starred") || undefined,
    start_date: periodStart(query.get("period")),
    in_trash: inTrash || undefined,
    facets: true,
    limit: PAGE_ROWS,
  });
  const [first] = list.pages;
  // The filters stay while what they chose is awaited.
  const facets = useRef(first?.facets);
  facets.current = first?.facets ?? facets.current;
  const isNarrowed = query.size > 0;
  const key = query.toString();
  const [noted, setNoted] = useState<{ key: string; changes: Changes }>({ key, changes: new Map() });
  const changes: Changes = noted.key === key ? noted.changes : new Map();
  const listed = list.pages.flatMap(({ conversations }) => conversations);
  const all = listed.map((each) => ({ ...each, ...changes.get(each.id) })).filter((each: Change) => !each.isGone);
  const note = (rows: ConversationSummary[], change: Change) =>
    setNoted((last) => ({
      key,
      changes: new Map([
        ...(last.key === key ? last.changes : []),
        ...rows.map(({ id }) => [id, { ...last.changes.get(id), ...change }] as const),
      ]),
    }));
  return (
    <Frame
      title={inTrash ? "Trash" : "Conversations"}
      aside={<Facets query={query} facets={facets.current} />}
      head={<Head list={first} gone={listed.length - all.length} inTrash={inTrash} />}
    >
      {list.error !== undefined && all.length === 0 ? (
        <Failure error={list.error} again={list.again} />
      ) : first === undefined ? (
        <Loading />
      ) : all.length === 0 ? (
        isNarrowed ? (
          <NothingFound inTrash={inTrash} />
        ) : (
          <NothingKept />
        )
      ) : (
        <Rows key={key} all={all} note={note} inTrash={inTrash} isOld={list.isOld} more={list.more} />
      )}
    </Frame>
  );
}

interface HeadProps {
  list: ConversationList | undefined;
  /** How many of them a person has just moved elsewhere. */
  gone: number;
  inTrash: boolean;
}

function Head({ list, gone, inTrash }: HeadProps) {
  const total = list === undefined ? "" : counted(list.total - gone, "conversation");
  return (
    <>
      <h1>{inTrash ? "Trash" : "Conversations"}</h1>
      <span class="quiet numeric" role="status">
        {list?.total_is_lower_bound ? `more than ${total}` : total}
      </span>
    </>
  );
}

function Facets({ query, facets }: { query: URLSearchParams; facets: ConversationList["facets"] }) {
  const chosen = (name: string) => query.get(name) ?? undefined;
  const link = (name: string) => (value: string | undefined) => withQuery({ [name]: value });
  const isChosen = (name: string) => query.has(name);
  const toggle = (name: string) =>
    withQuery({ [name]: !isChosen(name), ...(name === "trash" ? { starred: undefined } : {}) });
  const periods = PERIODS.map(({ value }) => ({ value, count: 0 }));
  return (
    <nav aria-label="Filters">
      <section class="facet">
        <FacetLink href={toggle("starred")} isChosen={isChosen("starred")}>
          <Icon name="star" /> Favourites
        </FacetLink>
        <FacetLink href={toggle("trash")} isChosen={isChosen("trash")}>
          <Icon name="trash" /> Trash
        </FacetLink>
      </section>
      <Facet
        title="Folder"
        values={facets?.folder ?? []}
        chosen={chosen("folder")}
        hrefOf={link("folder")}
        nameOf={folderName}
      />
      <Facet title="Client" values={facets?.client ?? []} chosen={chosen("client")} hrefOf={link("client")} />
      <Facet
        title="Last message"
        values={periods}
        chosen={chosen("period")}
        hrefOf={link("period")}
        nameOf={(value) => PERIODS.find((each) => each.value === value)?.name ?? value}
      />
    </nav>
  );
}

function NothingKept() {
  return (
    <Notice title="Nothing is kept yet">
      <code>dewey import</code> brings the sessions of your agents, and <code>dewey connect</code> keeps the next ones.
    </Notice>
  );
}

function NothingFound({ inTrash }: { inTrash: boolean }) {
  return (
    <Notice title={inTrash ? "The trash is empty" : "No conversation meets these filters"}>
      <a href={address("conversations")}>Show all conversations</a>
    </Notice>
  );
}

/** What a person has just changed; asking for the list again would lose the place in it. */
type Change = Partial<ConversationSummary> & { isGone?: boolean };
type Changes = ReadonlyMap<string, Change>;

interface RowsProps {
  all: ConversationSummary[];
  note(rows: ConversationSummary[], change: Change): void;
  inTrash: boolean;
  isOld: boolean;
  more: (() => void) | undefined;
}

function Rows({ all, note, inTrash, isOld, more }: RowsProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [renamed, setRenamed] = useState<ConversationSummary>();
  useScrollPlace(scroller, true);
  const focused = () => {
    const id = document.activeElement?.closest<HTMLElement>("[data-id]")?.dataset["id"];
    return all.find((each) => each.id === id);
  };
  const choose = (id: string) => setChosen((last) => toggled(last, id));
  const targets = () => {
    const own = focused();
    return chosen.size > 0 ? all.filter(({ id }) => chosen.has(id)) : own === undefined ? [] : [own];
  };
  const act = async (what: Action, rows: ConversationSummary[]) => {
    if (rows.length === 0) return;
    try {
      await change(what, rows);
    } catch (error) {
      failed(error);
      return;
    }
    setChosen(new Set());
    if (what === "star") {
      note(rows, { starred: rows.some((each) => !each.starred) });
      say(done(what, rows));
      return;
    }
    note(rows, { isGone: true });
    const back = what === "trash" ? "restore" : "trash";
    say(done(what, rows), () => void change(back, rows).then(() => note(rows, { isGone: false }), failed));
  };
  const rename = async (row: ConversationSummary, title: string) => {
    try {
      await call("dewey_update_conversation", { conversation_id: row.id, title }, { changes: true });
      note([row], { title });
    } catch (error) {
      failed(error);
    }
  };
  const onTargets = (what: Action) => () => void act(what, targets());
  useKeys([
    { keys: "j", title: "Next", run: () => step(scroller.current, 1) },
    { keys: "k", title: "Previous", run: () => step(scroller.current, -1) },
    { keys: "x", title: "Choose", run: () => choose(focused()?.id ?? "") },
    { keys: "Escape", title: "Choose none", run: () => setChosen(new Set()) },
    ...(inTrash
      ? [{ keys: "r", title: "Restore", run: onTargets("restore") }]
      : [
          { keys: "s", title: "Star or unstar", run: onTargets("star") },
          { keys: "e", title: "Rename", run: () => setRenamed(focused()) },
          { keys: "#", title: "Move to the trash", run: onTargets("trash") },
        ]),
  ]);
  return (
    <>
      {chosen.size > 0 && (
        <Actions
          count={chosen.size}
          inTrash={inTrash}
          act={(what) => onTargets(what)()}
          none={() => setChosen(new Set())}
        />
      )}
      <div class="scroller" ref={scroller} data-old={isOld || undefined}>
        <ul class="rows" aria-label="Conversations">
          {all.map((each) => (
            <Row
              key={each.id}
              conversation={each}
              inTrash={inTrash}
              isChosen={chosen.has(each.id)}
              choose={() => choose(each.id)}
              act={(what) => void act(what, [each])}
              rename={() => setRenamed(each)}
            />
          ))}
        </ul>
        <MoreRows more={more} />
      </div>
      {renamed !== undefined && (
        <Ask
          label="Title"
          action="Rename"
          value={renamed.title ?? ""}
          onClose={() => setRenamed(undefined)}
          onAnswer={(title) => void rename(renamed, title)}
        />
      )}
    </>
  );
}

type Action = "star" | "trash" | "restore";

/** Does one thing to several conversations. */
async function change(what: Action, rows: ConversationSummary[]): Promise<void> {
  // Starring a mixed choice stars all of it.
  const starred = rows.some((each) => !each.starred);
  for (const { id: conversation_id } of rows) {
    if (what === "star") await call("dewey_update_conversation", { conversation_id, starred }, { changes: true });
    else if (what === "trash") await call("dewey_delete_conversation", { conversation_id }, { changes: true });
    else await call("dewey_restore_conversation", { conversation_id }, { changes: true });
  }
}

function failed(error: unknown): void {
  say(error instanceof Error ? error.message : String(error));
}

function done(what: Action, rows: ConversationSummary[]): string {
  const [row] = rows;
  const which = rows.length === 1 && row ? `“${titleOf(row)}”` : counted(rows.length, "conversation");
  const verbs = { star: row?.starred ? "Unstarred" : "Starred", trash: "Moved to the trash:", restore: "Restored" };
  return `${verbs[what]} ${which}`;
}

function toggled(set: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(set);
  if (id !== "" && !next.delete(id)) next.add(id);
  return next;
}

/** Moves the focus to the next or the previous row. */
function step(list: HTMLElement | null, by: 1 | -1): void {
  const links = [...(list?.querySelectorAll<HTMLElement>(".list-title") ?? [])];
  const at = links.findIndex((each) => each.closest("[data-id]")?.contains(document.activeElement));
  const next = at === -1 ? (by === 1 ? 0 : links.length - 1) : Math.max(0, Math.min(at + by, links.length - 1));
  links[next]?.focus();
}

interface ActionsProps {
  count: number;
  inTrash: boolean;
  act(what: Action): void;
  none(): void;
}

function Actions({ count, inTrash, act, none }: ActionsProps) {
  return (
    <div class="actions" role="toolbar" aria-label="For the chosen conversations">
      <span class="numeric">{counted(count, "conversation")} chosen</span>
      {inTrash ? (
        <button type="button" class="button" onClick={() => act("restore")}>
          <Icon name="restore" /> Restore
        </button>
      ) : (
        <>
          <button type="button" class="button" onClick={() => act("star")}>
            <Icon name="star" /> Star
          </button>
          <button type="button" class="button" onClick={() => act("trash")}>
            <Icon name="trash" /> Move to the trash
          </button>
        </>
      )}
      <button type="button" class="icon-button" aria-label="Choose none" onClick={none}>
        <Icon name="close" />
      </button>
    </div>
  );
}

interface RowProps {
  conversation: ConversationSummary;
  inTrash: boolean;
  isChosen: boolean;
  choose(): void;
  act(what: Action): void;
  rename(): void;
}

function Row({ conversation, inTrash, isChosen, choose, act, rename }: RowProps) {
  const { id, title, client, folder, message_count, updated_at, starred, parent_id } = conversation;
  const name = titleOf(conversation);
  return (
    <li class="list-row" data-id={id} data-chosen={isChosen || undefined}>
      <input type="checkbox" class="choose" checked={isChosen} aria-label={`Choose ${name}`} onChange={choose} />
      {!inTrash && (
        <button
          type="button"
          class="icon-button star"
          aria-pressed={starred}
          aria-label={`Star ${name}`}
          onClick={() => act("star")}
        >
          <Icon name="star" isFilled={starred} />
        </button>
      )}
      {inTrash ? (
        <span class="list-title">
          <bdi class="one-line">{name}</bdi>
        </span>
      ) : (
        <a class="list-title" href={address(`conversation/${id}`)}>
          <bdi class={title === null ? "one-line quiet" : "one-line"}>{name}</bdi>
        </a>
      )}
      {parent_id !== null && <span class="badge">sub-agent</span>}
      <span class="list-facts quiet">
        <bdi class="one-line list-folder" title={folder ?? undefined}>
          {folder === null ? "" : folderName(folder)}
        </bdi>
        <span class="one-line list-client">{client === null ? "" : visible(client)}</span>
        <span class="numeric list-count" title={counted(message_count, "message")}>
          {grouped(message_count)}
        </span>
        <span class="list-time numeric">
          <Time at={updated_at} />
        </span>
      </span>
      <span class="list-actions">
        {inTrash ? (
          <button
            type="button"
            class="icon-button"
            aria-label={`Restore ${name}`}
            title="Restore"
            onClick={() => act("restore")}
          >
            <Icon name="restore" />
          </button>
        ) : (
          <>
            <button type="button" class="icon-button" aria-label={`Rename ${name}`} title="Rename" onClick={rename}>
              <Icon name="pencil" />
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label={`Move ${name} to the trash`}
              title="Move to the trash"
              onClick={() => act("trash")}
            >
              <Icon name="trash" />
            </button>
          </>
        )}
      </span>
    </li>
  );
}
