import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Talk } from "../client/talk.ts";
import { Frame } from "../parts/frame.tsx";
import { Failure, Loading, Notice } from "../parts/states.tsx";
import { Turn } from "../parts/turn.tsx";
import { about } from "../parts/turn-facts.ts";
import { VirtualList } from "../parts/virtual-list.tsx";
import type { VirtualListHandle } from "../parts/virtual-list.tsx";
import { address } from "../route.ts";
import type { Route } from "../route.ts";
import type { View } from "../view.ts";

export const conversationView: View = { name: "conversation", Show: Conversation };

/** The height of a turn that nothing is known of yet. */
const USUAL_HEIGHT_PX = 64;

function Conversation({ route }: { route: Route }) {
  const [, id = ""] = route.segments;
  const everything = route.query.has("all");
  const turn = wholeNumber(route.query.get("turn"));
  const talk = useMemo(() => new Talk(id, { everything, turn }), [id, everything]);
  useEffect(() => () => talk.leave(), [talk]);
  const facts = talk.facts.value;
  const error = talk.error.value;
  return (
    <Frame title={facts?.title ?? "Conversation"}>
      {error !== undefined ? (
        <Failure error={error} />
      ) : facts === undefined ? (
        <Loading />
      ) : talk.turns.value.count === 0 ? (
        <Notice title="Nothing was said here" />
      ) : (
        <Turns key={talk.id} talk={talk} turn={turn} />
      )}
    </Frame>
  );
}

function Turns({ talk, turn }: { talk: Talk; turn: number | undefined }) {
  const list = useRef<VirtualListHandle>(null);
  const turns = talk.turns.value;
  // Read, so that arrivals draw it again.
  void talk.arrivals.value;
  const [opened, setOpened] = useState(() => new Map<number, boolean>());
  const toggle = (turn: number, isOpen: boolean) => setOpened((last) => new Map(last).set(turn, !isOpen));
  const row = (index: number) => {
    const number = turns.turnAt(index) ?? 0;
    const message = talk.message(number);
    if (message === undefined) return <div class="turn-awaited" />;
    const isCurrent = number === turn;
    const isOpen = opened.get(number) ?? (isCurrent && about(message).isFolded);
    return (
      <Turn
        message={message}
        href={address(`conversation/${talk.id}`, { turn: number })}
        isCurrent={isCurrent}
        isOpen={isOpen}
        onToggle={() => toggle(number, isOpen)}
      />
    );
  };
  return (
    <VirtualList
      handle={list}
      count={turns.count}
      first={turn === undefined ? 0 : turns.rowOf(turn)}
      label="Turns"
      estimate={() => USUAL_HEIGHT_PX}
      row={row}
      onRange={(first, last) => talk.want(first, last)}
    />
  );
}

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
