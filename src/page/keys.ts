import { useLayoutEffect, useRef } from "preact/hooks";

// What the keyboard does. Every binding has a title, so that the list of keys and the palette are made of them.

/** A key, or two in a row such as `g l`, and what it does. */
export interface Binding {
  keys: string;
  title: string;
  run(): void;
}

/** What is on the screen binds; the latest wins. */
const bound = new Set<{ current: readonly Binding[] }>();

/** The bindings of what is on the screen. */
export function currentBindings(): Binding[] {
  return [...bound].flatMap(({ current }) => current);
}

/** How long the second key of two may take. */
const SEQUENCE_MS = 5000;
let first: { key: string; time: number } | undefined;

/** Binds keys while the component is shown. */
export function useKeys(given: readonly Binding[]): void {
  const holder = useRef(given);
  holder.current = given;
  // Before the next key can arrive.
  useLayoutEffect(() => {
    bound.add(holder);
    return () => bound.delete(holder);
  }, []);
}

/** What goes on while a key is held down; the others act once. */
const STEPS = new Set(["j", "k", "J", "K", "n", "N"]);

/** Follows the keyboard. Keys that a person types into a field are theirs; Control and Command only with `k`. */
export function followKeys(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const name = nameOf(event);
    if (name === undefined || (event.repeat && !STEPS.has(name))) return;
    const pair = first !== undefined && event.timeStamp - first.time < SEQUENCE_MS ? `${first.key} ${name}` : undefined;
    first = undefined;
    const all = currentBindings();
    const find = (keys: string | undefined) => all.findLast((each) => each.keys === keys);
    const found = (pair === undefined ? undefined : find(pair)) ?? find(name);
    if (found !== undefined) {
      event.preventDefault();
      found.run();
    } else if (all.some((each) => each.keys.startsWith(`${name} `))) first = { key: name, time: event.timeStamp };
  });
}

function nameOf(event: KeyboardEvent): string | undefined {
  if (event.altKey) return undefined;
  if (event.ctrlKey || event.metaKey) return event.key.toLowerCase() === "k" ? "mod+k" : undefined;
  const { target } = event;
  if (!(target instanceof Element)) return event.key;
  if (target.closest(TAKES_KEYS) !== null) return undefined;
  // Enter and the space bar press what has the focus.
  const isPressing = target.closest("button, a, summary, input") !== null;
  return isPressing && (event.key === "Enter" || event.key === " ") ? undefined : event.key;
}

/** What takes keys itself; a checkbox takes none but the space bar. */
const TAKES_KEYS = "input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open]";
