import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { usePages } from "../client/pages.ts";
import { useReply } from "../client/reply.ts";
import type { SearchHit, SearchReply } from "../client/replies.ts";
import { useKeys } from "../keys.ts";
import { useOnce } from "../once.ts";
import { Frame } from "../parts/frame.tsx";
import { Icon } from "../parts/icon.tsx";
import { Marked } from "../parts/marked.tsx";
import { MoreRows } from "../parts/more-rows.tsx";
import { folderName, periodStart, titleOf } from "../parts/place.ts";
import { useScrollPlace } from "../parts/scroll-place.ts";
import { ROLES, SearchFilters } from "../parts/search-filters.tsx";
import { Failure, Loading, Notice, Outdated } from "../parts/states.tsx";
import { step } from "../parts/step.ts";
import { Time, counted } from "../parts/time.tsx";
import { hitName } from "../parts/turn-facts.ts";
import { address, go, withQuery } from "../route.ts";
import type { Route } from "../route.ts";
import { visible } from "../../visible.ts";
import type { View } from "../view.ts";

export const searchView: View = {
  name: "search",
  entry: { title: "Search", icon: "search", key: "s" },
  Show: Search,
};

const PAGE_HITS = 30;
/** Letters that come at once are one search, after the first; one that is outdated is cancelled in the database. */
const TYPING = { delayMs: 40, isEager: true } as const;

/** Hits are counted by their facets once the person rests: the hits themselves come first. */
const COUNTING = { delayMs: 400 };
/** So many hits are counted by their facets at most, even where a search without them counts fewer. */
const MOST_COUNTED = 10_000;

function Search({ route: { query } }: { route: Route }) {
  const words = query.get("q") ?? "";
  const wanted = words.trim();
  const question =
    wanted === ""
      ? undefined
      : {
          query: wanted,
          client: query.get("client") ?? undefined,
          folder: query.get("folder") ?? undefined,
          role: ROLES.find(({ value }) => value === query.get("role"))?.value,
          start_date: periodStart(query.get("period")),
        };
  const reply = usePages("dewey_search", question && { ...question, limit: PAGE_HITS }, TYPING);
  // Hits are counted of what a person has typed, and where conversations were held is known of all of them.
  const places = useReply("dewey_list_conversations", { facets: true, limit: 1 });
  const [first] = reply.pages;
  const isCountless = !reply.isOld && first?.total_is_lower_bound === true && first.total >= MOST_COUNTED;
  const counting = question && !isCountless ? { ...question, limit: 1, facets: true } : undefined;
  const counts = useReply("dewey_search", counting, COUNTING);
  const hits = reply.pages.flatMap(({ results }) => results);
  const list = useRef<HTMLDivElement>(null);
  const asked = JSON.stringify(question);
  const shown = useRef(asked);
  if (!reply.isOld) shown.current = asked;
  useScrollPlace(list, hits.length > 0 ? shown.current : undefined);
  const whenNew = useOnce(!reply.isOld);
  useKeys([
    { keys: "j", title: "Next", run: () => step(list.current, ".hit-link", 1) },
    { keys: "k", title: "Previous", run: () => step(list.current, ".hit-link", -1) },
  ]);
  return (
    <Frame
      title={wanted === "" ? "Search" : `${wanted} – Search`}
      aside={<SearchFilters query={query} counts={question && counts.value?.facets} places={places.value?.facets} />}
      head={
        <Field
          words={words}
          isBusy={reply.isOld && wanted !== ""}
          onType={() => whenNew(undefined)}
          onEnter={() => whenNew(() => step(list.current, ".hit-link", 1))}
        />
      }
    >
      {first !== undefined && reply.error !== undefined && <Outdated error={reply.error} again={reply.again} />}
      <div class="scroller" ref={list} data-old={(reply.isOld && hits.length > 0) || undefined}>
        {wanted === "" ? (
          <Hints />
        ) : first === undefined && reply.error !== undefined ? (
          <Failure error={reply.error} again={reply.again} />
        ) : first === undefined ? (
          <Loading />
        ) : (
          <Hits first={first} hits={hits} words={wanted} />
        )}
        <MoreRows {...reply.rest} />
      </div>
    </Frame>
  );
}

interface FieldProps {
  words: string;
  isBusy: boolean;
  onType(): void;
  onEnter(): void;
}

/** The search field. What is typed goes into the address, so that it can be linked and come back. */
function Field({ words, isBusy, onType, onEnter }: FieldProps) {
  const field = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(words);
  // Before a person can type on: later this would undo it.
  useLayoutEffect(() => {
    // Back and forward change the words; a person's own are there already.
    if (words.trim() !== typed.trim()) setTyped(words);
  }, [words]);
  useLayoutEffect(() => {
    if (words === "") field.current?.focus();
  }, []);
  const type = (text: string) => {
    setTyped(text);
    onType();
    // The first letter leaves a place to come back to; the others belong to the same search.
    go(withQuery({ q: text }), { replace: words !== "" });
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      onEnter();
    } else if (event.key === "Escape") field.current?.blur();
  };
  return (
    <div class="search-field" role="search" data-busy={isBusy || undefined}>
      <h1 class="unseen">Search</h1>
      <Icon name="search" />
      <input
        ref={field}
        class="field"
        type="search"
        data-search
        dir="auto"
        value={typed}
        placeholder={'Words, a "phrase", -without, beginning*'}
        aria-label="Search"
        autoComplete="off"
        spellcheck={false}
        onInput={(event) => type(event.currentTarget.value)}
        onKeyDown={pressed}
      />
    </div>
  );
}

function Hints() {
  return (
    <Notice title="Find what was said or done">
      Any of the words may match, and rare ones weigh more. A <code>"phrase"</code> must occur, a <code>-word</code>{" "}
      must not, and <code>word*</code> may go on.
    </Notice>
  );
}

const WORDS_ONLY = {
  away: "by words only: the embeddings endpoint is away",
  loading: "by words only: the vectors are being read",
  none: "by words only: nothing has its vectors yet",
};

function Hits({ first, hits, words }: { first: SearchReply; hits: SearchHit[]; words: string }) {
  const { total, total_is_lower_bound, corrected, meaning } = first;
  return (
    <>
      <p class="search-total quiet" role="status">
        {total_is_lower_bound ? "More than " : ""}
        {counted(total, "hit")}
        {corrected !== undefined && (
          <>
            {" for "}
            {corrected.map(({ from, to }) => (
              <span key={from}>
                <b>{visible(to)}</b> in place of {visible(from)}{" "}
              </span>
            ))}
          </>
        )}
        {meaning !== undefined && <> {WORDS_ONLY[meaning]}</>}
      </p>
      {hits.length === 0 ? (
        <Notice title="Nothing holds these words">Try fewer or other words, or fewer filters.</Notice>
      ) : (
        <ol class="rows" aria-label="Hits">
          {hits.map((hit) => (
            <Hit key={hit.message_id} hit={hit} words={words} />
          ))}
        </ol>
      )}
    </>
  );
}

function Hit({ hit, words }: { hit: SearchHit; words: string }) {
  const { conversation_id, turn, folder, client, created_at } = hit;
  return (
    <li class="hit">
      <a class="hit-link" href={address(`conversation/${conversation_id}`, { turn, find: words })}>
        <span class="hit-head">
          <bdi class="one-line hit-title">{titleOf(hit)}</bdi>
          <span class="list-facts quiet">
            {folder !== null && <bdi class="one-line">{folderName(folder)}</bdi>}
            {client !== null && <span>{visible(client)}</span>}
            <span class="numeric">turn {turn}</span>
            <Time at={created_at} />
          </span>
        </span>
        <span class="hit-text" dir="auto">
          <span class="badge">{hitName(hit)}</span>{" "}
          {hit.found_by === "meaning" && <span class="badge">by meaning</span>} <Marked hit={hit} />
        </span>
      </a>
    </li>
  );
}
