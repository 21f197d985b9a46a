/**
 * The text without these characters at its end, but never shorter than `least`. Takes time linear in what is cut: an
 * expression that ends in `$` would be tried from each of them, wherever they stand.
 */
export function withoutEnd(text: string, characters: string, least = 0): string {
  let end = text.length;
  while (end > least && characters.includes(text[end - 1] ?? "")) end -= 1;
  return text.slice(0, end);
}
