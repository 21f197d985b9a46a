/** Length of a text in code points, as PostgreSQL and most clients' languages count: a pair of surrogates is one. */
export function lengthInCodePoints(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}
