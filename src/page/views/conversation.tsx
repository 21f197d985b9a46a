import { visible } from "../../visible.ts";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { call, connection } from "../client/dewey.ts";
import { useReply } from "../client/reply.ts";
import type { Conversation as Facts } from "../client/replies.ts";
import { Talk } from "../client/talk.ts";
import { useKeys } from "../keys.ts";
import { Ask } from "../parts/dialog.tsx";
import { FindBar } from "../parts/find-bar.tsx";
import { markFound } from "../parts/found.ts";
import { Frame } from "../parts/frame.tsx";
import { Icon } from "../parts/icon.tsx";
import { markedWords } from "../parts/snippet.ts";
import { Outline } from "../parts/outline.tsx";
import { folderName, titleOf } from "../parts/place.ts";
import { ShareDialog } from "../parts/share-dialog.tsx";
import { Failure, Loading, Notice } from "../parts/states.tsx";
import { Time, counted } from "../parts/time.tsx";
import { say } from "../parts/toast.tsx";
import { Turn } from "../parts/turn.tsx";
import { about } from "../parts/turn-facts.ts";
import { VirtualList } from "../parts/virtual-list.tsx";
import type { VirtualListHandle } from "../parts/virtual-list.tsx";
import { address, go, keepPlace, keptPlace, withQuery } from "../route.ts";
import type { Route } from "../route.ts";
import type { View } from "../view.ts";

export const conversationView: View = { name: "conversation", Show: Conversation };

/** The height of a turn that nothing is known of yet. */
const USUAL_HEIGHT_PX = 56;
/** Hits of a search within the conversation: more than one steps through. */
const MOST_FOUND = 100;
const TYPING = { delayMs: 120 };

function Conversation({ route }: { route: Route }) {
  const [, id = ""] = route.segments;
  const everything = route.query.has("all");
  const turn = wholeNumber(route.query.get("turn"));
  const talk = useMemo(() => new Talk(id, { everything, turn: keptPlace("turn") ?? turn }), [id, everything]);
  const [top, setTop] = useState(turn ?? 1);
  useEffect(() => () => talk.leave(), [talk]);
  useExtending(talk);
  const facts = talk.facts.value;
  const error = talk.error.value;
  const title = facts === undefined ? "Conversation" : titleOf(facts);
  return (
    <Frame
      title={title}
      head={facts === undefined ? undefined : <Head talk={talk} facts={facts} title={title} />}
      aside={facts === undefined ? undefined : <Aside talk={talk} facts={facts} top={top} />}
    >
      {error !== undefined ? (
        <Failure error={error} />
      ) : facts === undefined ? (
        <Loading />
      ) : talk.turns.value.count === 0 ? (
        <Notice title="Nothing was said here" />
      ) : (
        <Turns key={`${id} ${everything}`} talk={talk} turn={turn} find={route.query.get("find")} onTop={setTop} />
      )}
    </Frame>
  );
}

/** After the server was away, what was stored since is read. */
function useExtending(talk: Talk): void {
  const state = connection.state.value;
  useEffect(() => {
    if (state === "open") void talk.extend();
  }, [state]);
}

interface TurnsProps {
  talk: Talk;
  turn: number | undefined;
  find: string | null;
  onTop(turn: number): void;
}

function Turns({ talk, turn, find, onTop }: TurnsProps) {
  const list = useRef<VirtualListHandle>(null);
  const box = useRef<HTMLDivElement>(null);
  const turns = talk.turns.value;
  // Read, so that arrivals draw it again.
  void talk.arrivals.value;
  const [opened, setOpened] = useState<ReadonlyMap<number, boolean>>(new Map());
  const [isAllOpen, setIsAllOpen] = useState(false);
  const [isFinding, setIsFinding] = useState(find !== null);
  const found = useFound(talk.id, find ?? "");
  const topTurn = useRef(turn ?? 1);
  const [firstTurn] = useState(() => keptPlace("turn") ?? turn);
  // The turn that a link or a hit led to is unfolded. Steps of the keyboard move the current turn without that, and the
  // window only as far as needed.
  const [arrived, setArrived] = useState(turn);
  const stepped = useRef(turn);
  useEffect(() => {
    if (stepped.current !== turn) {
      const goal = keptPlace("turn") ?? turn;
      if (goal !== undefined) list.current?.show(turns.rowOf(goal));
      setArrived(turn);
    }
    stepped.current = turn;
  }, [turn]);
  useLayoutEffect(() => list.current?.focus(), []);
  useEffect(() => markFound(box.current, found.words));
  useEffect(() => () => markFound(null, found.words), []);

  const stateOf = (number: number) => {
    const message = talk.message(number);
    const isFolded = message !== undefined && about(message).isFolded;
    return opened.get(number) ?? ((number === arrived && isFolded) || isAllOpen);
  };
  const toggle = useMemo(
    () => (number: number, isOpen: boolean) => setOpened((last) => new Map(last).set(number, !isOpen)),
    [],
  );
  const readWhole = useMemo(() => (number: number) => void talk.readWhole(number), [talk]);
  const current = () => turn ?? topTurn.current;
  const stepTo = (row: number) => {
    const number = turns.turnAt(Math.max(0, Math.min(row, turns.count - 1)));
    if (number === undefined) return;
    stepped.current = number;
    go(withQuery({ turn: number }), { replace: true });
    list.current?.show(turns.rowOf(number), "nearest");
  };
  const promptFrom = (by: 1 | -1) => {
    const all = talk.prompts.value;
    const next = by === 1 ? all.find((each) => each.turn > current()) : all.findLast((each) => each.turn < current());
    if (next === undefined) return;
    go(withQuery({ turn: next.turn }), { replace: true });
  };
  const stepFound = (by: 1 | -1) => {
    const next =
      by === 1 ? found.turns.find((each) => each > current()) : found.turns.findLast((each) => each < current());
    const goal = next ?? (by === 1 ? found.turns[0] : found.turns.at(-1));
    if (goal !== undefined) go(withQuery({ turn: goal }), { replace: true });
  };
  useKeys([
    { keys: "j", title: "Next", run: () => stepTo(turns.rowOf(current()) + (turn === undefined ? 0 : 1)) },
    { keys: "k", title: "Previous", run: () => stepTo(turns.rowOf(current()) - 1) },
    { keys: "J", title: "Next prompt", run: () => promptFrom(1) },
    { keys: "K", title: "Previous prompt", run: () => promptFrom(-1) },
    { keys: "Enter", title: "Fold or unfold the turn", run: () => toggle(current(), stateOf(current())) },
    {
      keys: "u",
      title: "Fold or unfold all turns",
      run() {
        setOpened(new Map());
        setIsAllOpen(!isAllOpen);
      },
    },
    { keys: "g g", title: "First turn", run: () => stepTo(0) },
    { keys: "G", title: "Last turn", run: () => stepTo(turns.count - 1) },
    { keys: "f", title: "Find in the conversation", run: () => setIsFinding(true) },
    { keys: "n", title: "Next hit", run: () => stepFound(1) },
    { keys: "N", title: "Previous hit", run: () => stepFound(-1) },
  ]);

  const row = (index: number) => {
    const number = turns.turnAt(index) ?? 0;
    const message = talk.message(number);
    if (message === undefined) return <div class="turn-awaited" />;
    return (
      <Turn
        message={message}
        href={address(`conversation/${talk.id}`, { turn: number })}
        position={index + 1}
        count={turns.count}
        isCurrent={number === turn}
        isOpen={stateOf(number)}
        onToggle={toggle}
        onWhole={readWhole}
      />
    );
  };
  return (
    <div class="turns" ref={box}>
      {isFinding && (
        <FindBar
          words={find ?? ""}
          place={found.turns.indexOf(turn ?? -1)}
          count={found.turns.length}
          isBusy={found.isBusy}
          onWords={(words) => go(withQuery({ find: words }), { replace: true })}
          onStep={stepFound}
          onClose={() => {
            setIsFinding(false);
            go(withQuery({ find: undefined }), { replace: true });
            list.current?.focus();
          }}
        />
      )}
      <VirtualList
        handle={list}
        count={turns.count}
        first={firstTurn === undefined ? 0 : turns.rowOf(firstTurn)}
        label="Turns"
        estimate={() => USUAL_HEIGHT_PX}
        row={row}
        onRange={(first, last, top) => {
          talk.want(first, last);
          topTurn.current = turns.turnAt(top) ?? 1;
          keepPlace("turn", topTurn.current);
          onTop(topTurn.current);
        }}
      />
    </div>
  );
}

interface Found {
  /** Turns that hold the words, in their order. */
  turns: number[];
  /** The words as they stand there. */
  words: ReadonlySet<string>;
  isBusy: boolean;
}

/** Searches within the conversation. */
function useFound(id: string, find: string): Found {
  const query = find.trim();
  const args = query === "" ? undefined : { query, conversation_id: id, limit: MOST_FOUND };
  const { value, isOld } = useReply("dewey_search", args, TYPING);
  return useMemo(() => {
    const results = args === undefined ? [] : (value?.results ?? []);
    return {
      turns: results.map(({ turn }) => turn).toSorted((a, b) => a - b),
      words: new Set(results.flatMap(markedWords)),
      isBusy: args !== undefined && isOld,
    };
  }, [value, isOld, query]);
}

function Head({ talk, facts, title }: { talk: Talk; facts: Facts; title: string }) {
  const [isAsking, setIsAsking] = useState(false);
  const [isSharing, setIsSharing] = useState(false);
  const change = async (args: { title?: string; starred?: boolean }) => {
    try {
      await call("dewey_update_conversation", { conversation_id: talk.id, ...args }, { changes: true });
      talk.changed(args);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  };
  const star = () => void change({ starred: !facts.starred });
  const remove = async () => {
    const target = { conversation_id: talk.id };
    try {
      await call("dewey_delete_conversation", target, { changes: true });
      go(address("conversations"));
      say(`Moved to the trash: “${title}”`, () => {
        void call("dewey_restore_conversation", target, { changes: true }).then(() =>
          go(address(`conversation/${talk.id}`)),
        );
      });
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  };
  useKeys([
    { keys: "s", title: "Star or unstar", run: star },
    { keys: "e", title: "Rename", run: () => setIsAsking(true) },
    { keys: "S", title: "Share", run: () => setIsSharing(true) },
    { keys: "#", title: "Move to the trash", run: () => void remove() },
  ]);
  return (
    <>
      <div class="talk-head">
        <h1 class="one-line" dir="auto" title={title}>
          {title}
        </h1>
        <TalkFacts talk={talk} facts={facts} />
      </div>
      <div class="head-actions">
        <button
          type="button"
          class="icon-button star"
          aria-pressed={facts.starred}
          aria-label="Star"
          title="Star (s)"
          onClick={star}
        >
          <Icon name="star" isFilled={facts.starred} />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label="Rename"
          title="Rename (e)"
          onClick={() => setIsAsking(true)}
        >
          <Icon name="pencil" />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label="Share"
          title="Share (S)"
          onClick={() => setIsSharing(true)}
        >
          <Icon name="share" />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label="Move to the trash"
          title="Move to the trash (#)"
          onClick={() => void remove()}
        >
          <Icon name="trash" />
        </button>
      </div>
      {isSharing && (
        <ShareDialog
          last={talk.turns.value.last ?? 1}
          hrefOf={(format, from, to) => address("share", { conversation_id: talk.id, format, from, to })}
          onClose={() => setIsSharing(false)}
        />
      )}
      {isAsking && (
        <Ask
          label="Title"
          action="Rename"
          value={facts.title ?? ""}
          onClose={() => setIsAsking(false)}
          onAnswer={(title) => void change({ title })}
        />
      )}
    </>
  );
}

function TalkFacts({ talk, facts }: { talk: Talk; facts: Facts }) {
  const { folder, client, branch, created_at } = facts;
  return (
    <p class="talk-facts quiet">
      {folder !== null && (
        <bdi title={folder} class="one-line">
          {folderName(folder)}
        </bdi>
      )}
      {client !== null && <span>{visible(client)}</span>}
      {branch !== null && (
        <span class="one-line">
          <Icon name="fork" /> <bdi>{visible(branch)}</bdi>
        </span>
      )}
      <Time at={created_at} />
      <span class="numeric">{counted(talk.turns.value.count, "turn")}</span>
    </p>
  );
}

function Aside({ talk, facts, top }: { talk: Talk; facts: Facts; top: number }) {
  const { parent_id, forked_from, related = [] } = facts;
  const everything = new URLSearchParams(location.search).has("all");
  return (
    <div class="talk-aside">
      {(parent_id !== null || forked_from !== null || related.length > 0) && (
        <section class="facet related">
          <h2>Related</h2>
          {parent_id !== null && <Link id={parent_id} text="The agent that started this one" />}
          {forked_from !== null && <Link id={forked_from} text="The conversation that this one continues" />}
          {related.map((each) => (
            <Link
              key={each.id}
              id={each.id}
              text={`${each.relation === "fork" ? "Fork" : "Sub-agent"}: ${titleOf(each)}`}
            />
          ))}
        </section>
      )}
      <Outline
        prompts={talk.prompts.value}
        top={top}
        hrefOf={(turn) => address(`conversation/${talk.id}`, { turn, all: everything })}
      />
      <a
        class="facet-link"
        href={withQuery({ all: !everything })}
        title="Branches that were left, and what programs noted for themselves"
        aria-current={everything ? "true" : undefined}
      >
        Show what is hidden
      </a>
    </div>
  );
}

function Link({ id, text }: { id: string; text: string }) {
  return (
    <a class="facet-link" href={address(`conversation/${id}`)} title={text}>
      <bdi class="one-line">{text}</bdi>
    </a>
  );
}

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
