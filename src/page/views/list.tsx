import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import type { Action } from "../action.ts";
import { doToAll } from "../client/bulk.ts";
import type { Outcome } from "../client/bulk.ts";
import { callError } from "../client/connection.ts";
import { call } from "../client/dewey.ts";
import { usePages } from "../client/pages.ts";
import type { Rest } from "../client/pages.ts";
import type { ConversationList, ConversationSummary } from "../client/replies.ts";
import { useKeys } from "../keys.ts";
import { ChoiceBar } from "../parts/choice-bar.tsx";
import { ConversationRow } from "../parts/conversation-row.tsx";
import { Ask } from "../parts/dialog.tsx";
import { Frame } from "../parts/frame.tsx";
import { ListFilters } from "../parts/list-filters.tsx";
import { MoreRows } from "../parts/more-rows.tsx";
import { NothingKept } from "../parts/nothing-kept.tsx";
import { periodStart, titleOf } from "../parts/place.ts";
import { useScrollPlace } from "../parts/scroll-place.ts";
import { Failure, Loading, Notice, Outdated } from "../parts/states.tsx";
import { step } from "../parts/step.ts";
import { counted } from "../parts/time.tsx";
import { say } from "../parts/toast.tsx";
import { address } from "../route.ts";
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
      aside={<ListFilters query={query} facets={facets.current} />}
      head={<Head list={first} gone={listed.length - all.length} inTrash={inTrash} />}
    >
      {list.error !== undefined && first !== undefined && <Outdated error={list.error} again={list.again} />}
      {first === undefined && list.error !== undefined ? (
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
        <Rows key={key} all={all} note={note} inTrash={inTrash} isOld={list.isOld} rest={list.rest} />
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
  rest: Rest;
}

function Rows({ all, note, inTrash, isOld, rest }: RowsProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [renamed, setRenamed] = useState<ConversationSummary>();
  useScrollPlace(scroller, "");
  const focused = () => {
    const id = focusedId();
    return all.find((each) => each.id === id);
  };
  useFocusKept(scroller, all);
  const choose = (id: string) => setChosen((last) => toggled(last, id));
  const targets = () => {
    const own = focused();
    return chosen.size > 0 ? all.filter(({ id }) => chosen.has(id)) : own === undefined ? [] : [own];
  };
  const underWay = useRef<ReadonlySet<string>>(new Set());
  const act = async (asked: Action, meant: ConversationSummary[]) => {
    // What is pressed twice is done once.
    const rows = meant.filter(({ id }) => !underWay.current.has(id));
    if (rows.length === 0) return;
    // Starring a mixed choice stars all of it.
    const what = asked === "star" && rows.every(({ starred }) => starred) ? "unstar" : asked;
    underWay.current = underWay.current.union(new Set(rows.map(({ id }) => id)));
    const outcome = await doToAll(what, rows);
    underWay.current = without(underWay.current, rows);
    const { done } = outcome;
    // What failed stays chosen, so that it can be tried again.
    setChosen((last) => without(last, done));
    const moves = what === "trash" || what === "restore";
    note(done, moves ? { isGone: true } : { starred: what === "star" });
    say(told(what, outcome), moves && done.length > 0 ? () => void takeBack(what, done) : undefined);
  };
  const takeBack = async (what: "trash" | "restore", rows: ConversationSummary[]) => {
    const back = what === "trash" ? "restore" : "trash";
    const outcome = await doToAll(back, rows);
    note(outcome.done, { isGone: false });
    if (outcome.failed.length > 0) say(told(back, outcome));
  };
  const rename = async (row: ConversationSummary, title: string) => {
    try {
      await call("dewey_update_conversation", { conversation_id: row.id, title }, { changes: true });
      note([row], { title });
    } catch (error) {
      say(callError(error).message);
    }
  };
  const onTargets = (what: Action) => () => void act(what, targets());
  useKeys([
    { keys: "j", title: "Next", run: () => step(scroller.current, ".list-title", 1) },
    { keys: "k", title: "Previous", run: () => step(scroller.current, ".list-title", -1) },
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
        <ChoiceBar
          count={chosen.size}
          inTrash={inTrash}
          act={(what) => onTargets(what)()}
          none={() => setChosen(new Set())}
        />
      )}
      <div class="scroller" ref={scroller} data-old={isOld || undefined}>
        <ul class="rows" aria-label="Conversations">
          {all.map((each) => (
            <ConversationRow
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
        <MoreRows {...rest} />
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

/** When the row that has the focus goes away, the next one has it. */
function useFocusKept(list: RefObject<HTMLElement | null>, all: readonly ConversationSummary[]): void {
  const last = useRef<{ all: readonly ConversationSummary[]; id: string | undefined }>({ all, id: undefined });
  useLayoutEffect(() => {
    const follow = () => (last.current.id = focusedId());
    const element = list.current;
    element?.addEventListener("focusin", follow);
    return () => element?.removeEventListener("focusin", follow);
  }, []);
  useLayoutEffect(() => {
    const { all: before, id } = last.current;
    last.current.all = all;
    // A person's focus is elsewhere, or its row is still there.
    if (id === undefined || document.activeElement !== document.body || all.some((each) => each.id === id)) return;
    const at = before.findIndex((each) => each.id === id);
    if (at === -1) return;
    const present = new Set(all.map((each) => each.id));
    const next = before.slice(at).find((each) => present.has(each.id)) ?? all.at(-1);
    list.current?.querySelector<HTMLElement>(`[data-id="${next?.id}"] .list-title`)?.focus();
  });
}

function focusedId(): string | undefined {
  return document.activeElement?.closest<HTMLElement>("[data-id]")?.dataset["id"];
}

/** Conversations that a message names; of more, it tells the number. */
const MOST_NAMED = 3;

/** `“One”, “Two” and 4 others`. */
function named(rows: readonly ConversationSummary[]): string {
  const names = rows.slice(0, MOST_NAMED).map((row) => `“${titleOf(row)}”`);
  const others = rows.length - names.length;
  const last = others > 0 ? counted(others, "other") : names.length > 1 ? names.pop() : undefined;
  return last === undefined ? names.join(", ") : `${names.join(", ")} and ${last}`;
}

const DONE = { star: "Starred", unstar: "Unstarred", trash: "Moved to the trash:", restore: "Restored" };

/** What was done, and for which it failed. */
function told(what: Action, { done, failed }: Outcome): string {
  const which = done.length === 1 ? named(done) : counted(done.length, "conversation");
  const parts = done.length > 0 ? [`${DONE[what]} ${which}`] : [];
  const [first] = failed;
  if (first !== undefined) parts.push(`Failed for ${named(failed.map(({ row }) => row))}: ${first.error.message}`);
  return parts.join(". ");
}

function toggled(set: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(set);
  if (id !== "" && !next.delete(id)) next.add(id);
  return next;
}

function without(set: ReadonlySet<string>, rows: readonly ConversationSummary[]): ReadonlySet<string> {
  return set.difference(new Set(rows.map(({ id }) => id)));
}
