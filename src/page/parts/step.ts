/** Moves the focus to the next or the previous line of a list; `links` are what takes it, one in each line. */
export function step(list: HTMLElement | null, links: string, by: 1 | -1): void {
  const all = [...(list?.querySelectorAll<HTMLElement>(links) ?? [])];
  const at = all.findIndex((each) => each.closest("li, tr")?.contains(document.activeElement));
  const first = by === 1 ? 0 : all.length - 1;
  const next = at === -1 ? first : Math.max(0, Math.min(at + by, all.length - 1));
  all[next]?.focus();
}
