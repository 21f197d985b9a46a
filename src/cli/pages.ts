/** What the server gives of a list in one reply at most. */
const PAGE_LIMIT = 100;

interface Page {
  total: number;
  limit: number;
  offset: number;
}

/** The first `limit` entries of a list, read page by page, as one reply whose array `key` holds all of them. */
export async function pages<Key extends string, Item, Reply extends Page & Record<Key, Item[]>>(
  limit: number,
  key: Key,
  read: (page: { limit: number; offset: number }) => Promise<Reply>,
): Promise<Reply> {
  const first = await read({ limit: Math.min(limit, PAGE_LIMIT), offset: 0 });
  const items: Item[] = [...first[key]];
  while (items.length < limit && items.length > 0) {
    const { [key]: more } = await read({ limit: Math.min(limit - items.length, PAGE_LIMIT), offset: items.length });
    if (more.length === 0) break;
    items.push(...more);
  }
  return { ...first, [key]: items, limit };
}
