import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Heights } from "./heights.ts";

// A list of any length of which only what is near the window is in the document. What holds still is the anchor: the row at
// the top of the window and how far it is scrolled. Heights become known as rows are shown; the scroll position follows from
// the anchor, so that nothing jumps when an estimate was wrong.

/** What a parent may ask of the list. */
export interface VirtualListHandle {
  /** Brings a row to the top of the window, below `marginPx`, or only into it with `nearest`. */
  show(index: number, how?: "top" | "nearest"): void;
  scrollBy(pixels: number): void;
  focus(): void;
}

interface VirtualListProps {
  handle: RefObject<VirtualListHandle | null>;
  count: number;
  /** The row that is first at the top. */
  first: number;
  label: string;
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

/** Rows are rendered this far beyond the window, so that a quick scroll meets no emptiness. */
const BEYOND_PX = 900;
/** Space above a row that was brought to the top. */
const TOP_MARGIN_PX = 12;
const PADDING_PX = 24;
/** So near to the end is the end. */
const END_PX = 2;

export function VirtualList({ handle, count, first, label, estimate, row, onRange }: VirtualListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const heights = useRef<Heights>(undefined);
  heights.current ??= new Heights(count, estimate);
  if (heights.current.count !== count) {
    const old = heights.current;
    heights.current = old.resized(count, (index) => (index < old.count ? index : undefined), estimate);
  }
  const known = heights.current;
  const anchor = useRef<Anchor>({ index: first, offset: first === 0 ? -PADDING_PX : -TOP_MARGIN_PX });
  const [, redraw] = useState(0);
  const draw = () => redraw((round) => round + 1);
  const [windowHeight, setWindowHeight] = useState(() => innerHeight);

  const topOf = ({ index, offset }: Anchor) =>
    Math.max(0, Math.min(known.startOf(index) + offset + PADDING_PX, known.total + 2 * PADDING_PX - windowHeight));
  const place = topOf(anchor.current);
  const from = known.rowAt(Math.max(0, place - PADDING_PX - BEYOND_PX));
  const to = Math.min(count - 1, known.rowAt(place - PADDING_PX + windowHeight + BEYOND_PX));
  const top = known.rowAt(Math.max(0, place - PADDING_PX + TOP_MARGIN_PX + 1));

  const rows = useMemo(() => new RowObserver(known, draw), []);
  rows.heights = known;
  useLayoutEffect(() => {
    const element = scroller.current;
    if (rows.takeChanges()) draw();
    else if (element !== null && Math.abs(element.scrollTop - place) >= 1) element.scrollTop = place;
  });
  useEffect(() => onRange(from, to, top), [from, to, top, count]);

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
        {indexes.map((index) => (
          <div
            key={index}
            class="track-row"
            data-index={index}
            ref={rows.refOf(index)}
            style={{ transform: `translateY(${known.startOf(index) + PADDING_PX}px)` }}
          >
            {row(index)}
          </div>
        ))}
      </div>
    </div>
  );
}

/** Measures the rows that are in the document. */
class RowObserver {
  heights: Heights;
  readonly #observer: ResizeObserver;
  readonly #elements = new Map<number, Element>();
  readonly #refs = new Map<number, (element: Element | null) => void>();
  #isChanged = false;

  constructor(heights: Heights, changed: () => void) {
    this.heights = heights;
    this.#observer = new ResizeObserver((entries) => {
      let isChanged = false;
      for (const { target } of entries) isChanged = this.#measure(target) || isChanged;
      if (isChanged) changed();
    });
  }

  /** The same function for the same row, so that a row is observed once. */
  refOf(index: number): (element: Element | null) => void {
    const known = this.#refs.get(index);
    if (known) return known;
    const ref = (element: Element | null) => {
      const old = this.#elements.get(index);
      if (old !== undefined) this.#observer.unobserve(old);
      if (element === null) {
        this.#elements.delete(index);
        this.#refs.delete(index);
        return;
      }
      this.#elements.set(index, element);
      // At once, so that a row is in its place before it is seen.
      this.#isChanged = this.#measure(element) || this.#isChanged;
      this.#observer.observe(element);
    };
    this.#refs.set(index, ref);
    return ref;
  }

  /** Whether new rows turned out to have other heights than estimated, since the last call. */
  takeChanges(): boolean {
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged;
  }

  disconnect(): void {
    this.#observer.disconnect();
  }

  #measure(element: Element): boolean {
    const index = Number(element.getAttribute("data-index"));
    return this.heights.measure(index, element.getBoundingClientRect().height);
  }
}
