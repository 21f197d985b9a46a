import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { CallError } from "../client/connection.ts";
import { call, connection } from "../client/dewey.ts";
import { useReply } from "../client/reply.ts";
import type { Conversation as Facts } from "../client/replies.ts";
import { talkOf } from "../client/talk.ts";
import type { Talk } from "../client/talk.ts";
import { useKeys } from "../keys.ts";
import { Ask } from "../parts/dialog.tsx";
import { FindBar } from "../parts/find-bar.tsx";
import { markFound } from "../parts/found.ts";
import { Frame } from "../parts/frame.tsx";
import { titleOf } from "../parts/place.ts";
import { ShareDialog } from "../parts/share-dialog.tsx";
import { markedWords } from "../parts/snippet.ts";
import { Failure, Loading, Notice, Outdated } from "../parts/states.tsx";
import { TalkAside } from "../parts/talk-aside.tsx";
import { TalkHead } from "../parts/talk-head.tsx";
import { say } from "../parts/toast.tsx";
import { Turn } from "../parts/turn.tsx";
import { about, usualHeight } from "../parts/turn-facts.ts";
import { VirtualList } from "../parts/virtual-list.tsx";
import type { VirtualListHandle } from "../parts/virtual-list.tsx";
import { address, go, keepPlace, keptPlace, route, withQuery } from "../route.ts";
import type { Route } from "../route.ts";
import { turnIn } from "../talk-address.ts";
import { useTurnSteps } from "../turn-steps.ts";
import type { View } from "../view.ts";

export const conversationView: View = { name: "conversation", Show: Conversation };

/** Hits of a search within the conversation: more than one steps through. */
const MOST_FOUND = 100;
const TYPING = { delayMs: 120 };

function Conversation({ route }: { route: Route }) {
  const [, id = ""] = route.segments;
  const everything = route.query.has("all");
  const turn = turnIn(route.query);
  const talk = useMemo(() => talkOf({ id, everything, turn: keptPlace("turn") ?? turn }), [id, everything]);
  const [top, setTop] = useState(turn ?? 1);
  useEffect(() => () => talk.leave(), [talk]);
  useExtending(talk);
  const facts = talk.facts.value;
  const error = talk.error.value;
  const title = facts === undefined ? "Conversation" : titleOf(facts);
  return (
    <Frame
      title={title}
      head={facts === undefined ? undefined : <Head talk={talk} facts={facts} />}
      aside={facts === undefined ? undefined : <TalkAside facts={facts} prompts={talk.prompts.value} top={top} />}
    >
      {error !== undefined && facts !== undefined && <Outdated error={error} again={() => void talk.again()} />}
      {error !== undefined && facts === undefined ? (
        <Failure error={error} again={() => void talk.again()} />
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
  const wasAway = useRef(false);
  useEffect(() => {
    if (state === "open" && wasAway.current) void talk.extend();
    wasAway.current = state !== "open";
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
  const { arrived, current, ...steps } = useTurnSteps({ talk, turn, list, topTurn, found });
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
  const readWhole = useMemo(() => (number: number) => void talk.readWhole(number).catch(failed), [talk]);
  useKeys([
    { keys: "j", title: "Next", run: () => steps.by(1) },
    { keys: "k", title: "Previous", run: () => steps.by(-1) },
    { keys: "J", title: "Next prompt", run: () => steps.toPrompt(1) },
    { keys: "K", title: "Previous prompt", run: () => steps.toPrompt(-1) },
    { keys: "Enter", title: "Fold or unfold the turn", run: () => toggle(current(), stateOf(current())) },
    {
      keys: "u",
      title: "Fold or unfold all turns",
      run() {
        setOpened(new Map());
        setIsAllOpen(!isAllOpen);
      },
    },
    { keys: "g g", title: "First turn", run: () => steps.toEnd("first") },
    { keys: "G", title: "Last turn", run: () => steps.toEnd("last") },
    { keys: "f", title: "Find in the conversation", run: () => setIsFinding(true) },
    { keys: "n", title: "Next hit", run: () => steps.toFound(1) },
    { keys: "N", title: "Previous hit", run: () => steps.toFound(-1) },
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
          error={found.error}
          onWords={(words) => go(withQuery({ find: words }), { replace: true })}
          onStep={steps.toFound}
          onClose={() => {
            setIsFinding(false);
            go(withQuery({ find: undefined }), { replace: true });
            list.current?.focus();
          }}
        />
      )}
      <VirtualList
        handle={list}
        turns={turns}
        first={firstTurn === undefined ? 0 : turns.rowOf(firstTurn)}
        label="Turns"
        estimate={(index) => usualHeight(talk.message(turns.turnAt(index) ?? 0))}
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
  error: CallError | undefined;
}

/** Searches within the conversation. */
function useFound(id: string, find: string): Found {
  const query = find.trim();
  const args = query === "" ? undefined : { query, conversation_id: id, limit: MOST_FOUND };
  const { value, error, isOld } = useReply("dewey_search", args, TYPING);
  return useMemo(() => {
    const results = args === undefined ? [] : (value?.results ?? []);
    return {
      turns: results.map(({ turn }) => turn).toSorted((a, b) => a - b),
      words: new Set(results.flatMap(markedWords)),
      isBusy: args !== undefined && isOld,
      error,
    };
  }, [value, error, isOld, query]);
}

function Head({ talk, facts }: { talk: Talk; facts: Facts }) {
  const [isAsking, setIsAsking] = useState(false);
  const [isSharing, setIsSharing] = useState(false);
  const change = async (args: { title?: string; starred?: boolean }) => {
    try {
      await call("dewey_update_conversation", { conversation_id: talk.id, ...args }, { changes: true });
      talk.changed(args);
    } catch (error) {
      failed(error);
    }
  };
  const star = () => void change({ starred: !facts.starred });
  const rename = () => setIsAsking(true);
  const share = () => setIsSharing(true);
  const isRemoving = useRef(false);
  const remove = async () => {
    // Pressed once more, it would fail: the conversation is gone.
    if (isRemoving.current) return;
    isRemoving.current = true;
    await moveToTrash(talk.id, titleOf(facts));
    isRemoving.current = false;
  };
  useKeys([
    { keys: "s", title: "Star or unstar", run: star },
    { keys: "e", title: "Rename", run: rename },
    { keys: "S", title: "Share", run: share },
    { keys: "#", title: "Move to the trash", run: () => void remove() },
  ]);
  return (
    <>
      <TalkHead
        facts={facts}
        count={talk.isOutlined.value ? talk.turns.value.count : undefined}
        onStar={star}
        onRename={rename}
        onShare={share}
        onTrash={() => void remove()}
      />
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

/** Moves a conversation to the trash, leaves it, and offers the way back. */
async function moveToTrash(conversation_id: string, title: string): Promise<void> {
  const changes = { changes: true };
  const restore = async () => {
    await call("dewey_restore_conversation", { conversation_id }, changes);
    go(address(`conversation/${conversation_id}`));
  };
  try {
    await call("dewey_delete_conversation", { conversation_id }, changes);
    // Who has gone on meanwhile stays there.
    if (route.value.segments[1] === conversation_id) go(address("conversations"));
    say(`Moved to the trash: “${title}”`, () => void restore().catch(failed));
  } catch (error) {
    failed(error);
  }
}

/** Says what could not be done; what a person has left needs nothing said. */
function failed(error: unknown): void {
  if (error instanceof CallError) say(error.message);
}
