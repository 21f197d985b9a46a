import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Talk } from "./client/talk.ts";
import type { VirtualListHandle } from "./parts/virtual-list.tsx";
import { useOnce } from "./once.ts";
import { go, keptPlace, withQuery } from "./route.ts";

// Steps from turn to turn. The address names the current turn, so that a link leads to it.

interface Standing {
  talk: Talk;
  /** The turn that the address names. */
  turn: number | undefined;
  list: RefObject<VirtualListHandle | null>;
  /** The turn at the top of the window, which is the current one where the address names none. */
  topTurn: RefObject<number>;
  /** The turns that hold what is looked for, in their order; while they are looked for, those of the words before. */
  found: { turns: readonly number[]; isBusy: boolean };
}

/** What steps there are; `1` is forward. */
export interface TurnSteps {
  /** The turn that a link or a hit led to, which is unfolded. Steps of the keyboard lead to turns as they are. */
  arrived: number | undefined;
  current(): number;
  by(by: 1 | -1): void;
  toEnd(end: "first" | "last"): void;
  toPrompt(by: 1 | -1): void;
  /** To the next hit, and from the last one to the first. */
  toFound(by: 1 | -1): void;
}

/** Follows the turn that the address names, and steps to others. */
export function useTurnSteps({ talk, turn, list, topTurn, found }: Standing): TurnSteps {
  const whenOutlined = useOnce(talk.isOutlined.value);
  const [arrived, setArrived] = useState(turn);
  const stepped = useRef(turn);
  const latest = useRef(found.turns);
  latest.current = found.turns;
  const show = (goal: number, how?: "nearest") => list.current?.show(talk.turns.value.rowOf(goal), how);
  const whenFound = useOnce(!found.isBusy);
  // Before a person can step on: later this would lead back.
  useLayoutEffect(() => {
    if (stepped.current !== turn) {
      const goal = keptPlace("turn") ?? turn;
      if (goal !== undefined) {
        show(goal);
        // Also takes back a step that waits: this was wanted later.
        whenOutlined(isIn(talk, goal) ? undefined : () => show(goal));
      }
      setArrived(turn);
    }
    stepped.current = turn;
  }, [turn]);
  const current = () => turn ?? topTurn.current;
  const stepTo = (row: number) => {
    const { value: turns } = talk.turns;
    const goal = turns.turnAt(Math.max(0, Math.min(row, turns.count - 1)));
    if (goal === undefined) return;
    whenOutlined(undefined);
    stepped.current = goal;
    lead(goal);
    // The window moves only as far as needed.
    show(goal, "nearest");
  };
  return {
    arrived,
    current,
    by(by) {
      const row = talk.turns.value.rowOf(current());
      stepTo(turn === undefined && by === 1 ? row : row + by);
    },
    toEnd: (end) => whenOutlined(() => stepTo(end === "first" ? 0 : talk.turns.value.count - 1)),
    toPrompt: (by) =>
      whenOutlined(() => {
        const turns = talk.prompts.value.map((each) => each.turn);
        lead(nextOf(turns, current(), by));
      }),
    toFound: (by) =>
      whenFound(() => lead(nextOf(latest.current, current(), by) ?? latest.current.at(by === 1 ? 0 : -1))),
  };
}

function lead(turn: number | undefined): void {
  if (turn !== undefined) go(withQuery({ turn }), { replace: true });
}

function nextOf(turns: readonly number[], from: number, by: 1 | -1): number | undefined {
  return by === 1 ? turns.find((each) => each > from) : turns.findLast((each) => each < from);
}

function isIn({ turns: { value: turns } }: Talk, turn: number): boolean {
  return turns.turnAt(turns.rowOf(turn)) === turn;
}
