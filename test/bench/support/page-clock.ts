import type { Page } from "playwright-core";

// Times within the page, from what a person does to the frame in which it is seen.

/** Keeps when an element was first seen, and how long the search field was busy after each letter. */
const CLOCK = `
  const seen = (selector) => new Promise((resolve) => {
    const look = () => document.querySelector(selector) ? resolve({ ms: performance.now(), at: Date.now() }) : requestAnimationFrame(look);
    look();
  });
  let typedMs = 0;
  let told = () => {};
  addEventListener("input", () => { typedMs = performance.now(); }, true);
  new MutationObserver(() => {
    if (document.querySelector(".search-field:not([data-busy])")) requestAnimationFrame(() => told(performance.now() - typedMs));
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-busy"] });
  let answered;
  const expect = () => { answered = new Promise((resolve) => { told = resolve; }); };
  window.clock = { seen, expect, answered: () => answered };
`;

/** What is seen, and when: since the page was asked for, and as a time of day. */
export interface Seen {
  ms: number;
  at: number;
}

/** Has the clock in every document of a page. */
export async function startClock(page: Page): Promise<void> {
  await page.addInitScript(CLOCK);
}

/** Resolves when an element is in the document. */
export function whenSeen(page: Page, selector: string): Promise<Seen> {
  return page.evaluate<Seen>(`clock.seen(${JSON.stringify(selector)})`);
}

/** Types a letter into the search; resolves to the milliseconds until the hits of all letters so far are seen. */
export async function typeLetter(page: Page, letter: string): Promise<number> {
  // The browser may handle a key before a script that was sent earlier.
  await page.evaluate("clock.expect()");
  await page.keyboard.type(letter);
  return page.evaluate<number>("clock.answered()");
}
