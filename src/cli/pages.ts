/** Maximum number of list entries per reply of the server. */
const PAGE_LIMIT = 100;

interface Page {
  limit: number;
  next_cursor?: string;
}

/** The first `limit` entries of a list, read page by page, as one reply whose array `key` holds all of them. */
export async function pages<Key extends string, Item, Reply extends Page & Record<Key, Item[]>>(
  limit: number,
  key: Key,
  read: (page: { limit: number; cursor?: string }) => Promise<Reply>,
): Promise<Reply> {
  const first = await read({ limit: Math.min(limit, PAGE_LIMIT) });
  const items: Item[] = [...first[key]];
  let { next_cursor: cursor } = first;
  while (cursor !== undefined && items.length < limit) {
    const page = await read({ limit: Math.min(limit - items.length, PAGE_LIMIT), cursor });
    items.push(...page[key]);
    cursor = page.next_cursor;
  }
  const { next_cursor: _, ...reply } = first;
  return { ...reply, [key]: items, limit, ...(cursor === undefined ? {} : { next_cursor: cursor }) } as Reply;
}
