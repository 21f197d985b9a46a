/** Length of a text in code points, as PostgreSQL and most clients' languages count: a pair of surrogates is one. */
export function lengthInCodePoints(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

/** The UTF-16 position in a text behind so many code points. */
export function positionBehind(text: string, characters: number): number {
  let position = 0;
  for (let left = characters; left > 0 && position < text.length; left -= 1)
    position += (text.codePointAt(position) ?? 0) > 0xff_ff ? 2 : 1;
  return position;
}
