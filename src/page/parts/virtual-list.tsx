import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Heights } from "./heights.ts";

// A list of turns, of any length, of which only what is near the window is in the document. What holds still is the anchor: the row at
// the top of the window and how far it is scrolled. Heights become known as rows are shown; the scroll position follows from
// the anchor, so that nothing jumps when an estimate was wrong.

/** Which turn is in which row: rows are numbered without gaps, and turns are not. */
interface Rows {
  readonly count: number;
  turnAt(row: number): number | undefined;
  /** The row of a turn, or of the nearest one before it. */
  rowOf(turn: number): number;
}

/** What a parent may ask of the list. */
export interface VirtualListHandle {
  /** Brings a row to the top of the window, below `marginPx`, or only into it with `nearest`. */
  show(index: number, how?: "top" | "nearest"): void;
  scrollBy(pixels: number): void;
  focus(): void;
}

interface VirtualListProps {
  handle: RefObject<VirtualListHandle | null>;
  /** The turn of each row. When others come before or between them, what is seen stays in its place. */
  turns: Rows;
  /** The row that is first at the top. */
  first: number;
  label: string;
  /** The height of a row that was never drawn. */
  estimate(index: number): number;
  row(index: number): ComponentChildren;
  /** Called with the rows that are rendered, and the one at the top of the window, whenever they change. */
  onRange(first: number, last: number, top: number): void;
}

interface Anchor {
  index: number;
  /** The distance of the window's top from the row's; negative when the row begins below the top, infinite at the end. */
  offset: number;
}

/** Rows are rendered this far beyond the window once it is drawn, so that a quick scroll meets no emptiness. */
const BEYOND_PX = 900;
/** Space above a row that was brought to the top. */
const TOP_MARGIN_PX = 12;
const PADDING_PX = 24;
/** So near to the end is the end. */
const END_PX = 2;

export function VirtualList({ handle, turns, first, label, estimate, row, onRange }: VirtualListProps) {
  const { count } = turns;
  const scroller = useRef<HTMLDivElement>(null);
  const heights = useRef<Heights>(undefined);
  heights.current ??= new Heights(count, estimate);
  const anchor = useRef<Anchor>({ index: first, offset: first === 0 ? -PADDING_PX : -TOP_MARGIN_PX });
  const drawn = useRef(turns);
  if (drawn.current !== turns) {
    const old = drawn.current;
    drawn.current = turns;
    heights.current = heights.current.resized(count, (index) => rowIn(old, turns.turnAt(index)), estimate);
    const { index, offset } = anchor.current;
    anchor.current = { index: offset === Infinity ? count - 1 : turns.rowOf(old.turnAt(index) ?? 0), offset };
  }
  const known = heights.current;
  const [, redraw] = useState(0);
  const draw = () => redraw((round) => round + 1);
  const [windowHeight, setWindowHeight] = useState(() => innerHeight);
  const [beyondPx, setBeyondPx] = useState(0);
  useLayoutEffect(() => afterFrame(() => setBeyondPx(BEYOND_PX)), []);

  const topOf = ({ index, offset }: Anchor) =>
    Math.max(0, Math.min(known.startOf(index) + offset + PADDING_PX, known.total + 2 * PADDING_PX - windowHeight));
  const place = topOf(anchor.current);
  const from = known.rowAt(Math.max(0, place - PADDING_PX - beyondPx));
  const to = Math.min(count - 1, known.rowAt(place - PADDING_PX + windowHeight + beyondPx));
  const top = known.rowAt(Math.max(0, place - PADDING_PX + TOP_MARGIN_PX + 1));

  const rows = useMemo(() => new RowObserver(draw), []);
  rows.measure = (turn, height) => known.measure(turns.rowOf(turn), height);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (rows.measureFresh()) draw();
    else if (element !== null && Math.abs(element.scrollTop - place) >= 1) element.scrollTop = place;
  });
  useEffect(() => onRange(from, to, top), [from, to, top, turns]);

  useEffect(() => () => rows.disconnect(), []);
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWindowHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const scrolled = () => {
    const element = scroller.current;
    // The position that follows from the anchor is no scroll of a person's.
    if (element === null || Math.abs(element.scrollTop - topOf(anchor.current)) < 1) return;
    // Who has come to the end stays there, though rows above turn out higher and others come after.
    if (element.scrollTop + windowHeight >= known.total + 2 * PADDING_PX - END_PX) {
      anchor.current = { index: count - 1, offset: Infinity };
      draw();
      return;
    }
    const offset = Math.max(0, element.scrollTop - PADDING_PX);
    const index = known.rowAt(offset);
    anchor.current = { index, offset: element.scrollTop - PADDING_PX - known.startOf(index) };
    draw();
  };

  useImperativeHandle(handle, () => ({
    show(index, how = "top") {
      const start = known.startOf(index) + PADDING_PX;
      const end = start + known.heightOf(index);
      const isSeen = start >= place && end <= place + windowHeight;
      if (how === "nearest" && isSeen) return;
      anchor.current = { index, offset: -TOP_MARGIN_PX };
      draw();
    },
    scrollBy(pixels) {
      scroller.current?.scrollBy(0, pixels);
    },
    focus() {
      scroller.current?.focus({ preventScroll: true });
    },
  }));

  const indexes = Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
  return (
    <div class="scroller" ref={scroller} onScroll={scrolled} tabIndex={0} role="feed" aria-label={label}>
      <div class="track" style={{ height: `${known.total + 2 * PADDING_PX}px` }}>
        {indexes.map((index) => {
          const turn = turns.turnAt(index) ?? 0;
          return (
            <div
              key={turn}
              class="track-row"
              data-row={turn}
              ref={rows.refOf(turn)}
              style={{ transform: `translateY(${known.startOf(index) + PADDING_PX}px)` }}
            >
              {row(index)}
            </div>
          );
        })}
      </div>
    </div>
  );
}

/**
 * Runs something once the next frame is on the screen. An effect would run before it when the component is drawn again meanwhile.
 * Returns what takes it back.
 */
function afterFrame(run: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const frame = requestAnimationFrame(() => {
    timer = setTimeout(run);
  });
  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
}

/** The row of a turn among others, if it is one of them. */
function rowIn(turns: Rows, turn: number | undefined): number | undefined {
  if (turn === undefined) return undefined;
  const row = turns.rowOf(turn);
  return turns.turnAt(row) === turn ? row : undefined;
}

/** Measures the rows that are in the document. */
class RowObserver {
  /** Notes a turn's height; returns whether it differs from what was known. */
  measure: (turn: number, height: number) => boolean = () => false;
  readonly #observer: ResizeObserver;
  readonly #elements = new Map<number, Element>();
  readonly #refs = new Map<number, (element: Element | null) => void>();
  /** Those that came into the document with this drawing. */
  readonly #fresh = new Set<Element>();

  constructor(changed: () => void) {
    this.#observer = new ResizeObserver((entries) => {
      let isChanged = false;
      for (const { target } of entries) isChanged = this.#measure(target) || isChanged;
      if (isChanged) changed();
    });
  }

  /** The same function for the same turn, so that a row is observed once. */
  refOf(turn: number): (element: Element | null) => void {
    const known = this.#refs.get(turn);
    if (known) return known;
    const ref = (element: Element | null) => {
      const old = this.#elements.get(turn);
      if (old !== undefined) this.#observer.unobserve(old);
      if (old !== undefined) this.#fresh.delete(old);
      if (element === null) {
        this.#elements.delete(turn);
        this.#refs.delete(turn);
        return;
      }
      this.#elements.set(turn, element);
      this.#fresh.add(element);
      this.#observer.observe(element);
    };
    this.#refs.set(turn, ref);
    return ref;
  }

  /**
   * Measures the rows that are new, before they are seen, and returns whether they have other heights than estimated. All at
   * once, after the last of them is complete: the browser lays out the document anew for whatever is measured after a change.
   */
  measureFresh(): boolean {
    let isChanged = false;
    for (const element of this.#fresh) isChanged = this.#measure(element) || isChanged;
    this.#fresh.clear();
    return isChanged;
  }

  disconnect(): void {
    this.#observer.disconnect();
  }

  #measure(element: Element): boolean {
    return this.measure(Number(element.getAttribute("data-row")), element.getBoundingClientRect().height);
  }
}
