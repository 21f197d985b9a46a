import type { SQL, TransactionSQL } from "bun";
import { IS_EMBEDDED, MEANING_LOCK } from "./models.ts";
import type { Model } from "./models.ts";
import { SAID_CHARACTERS, passagesOf } from "./passages.ts";
import type { Passage } from "./passages.ts";
import { signText, stored } from "./vectors.ts";

/** A message whose vectors are to be made. */
export interface Queued {
  id: string;
  conversation_id: string;
  role: string;
  /** Its beginning, as far as it is embedded. */
  text: string;
  /** Changes whenever the row does. */
  version: string;
  passages: Passage[];
}

/** A message's passages with their vectors; one that the endpoint refuses has none. */
export interface Embedded extends Queued {
  vectors: (Float32Array | undefined)[];
}

/** The newest messages that lack vectors, but those named; `gone` are those that are not to have any. */
export async function nextQueued(
  sql: SQL,
  limit: number,
  but: string[],
): Promise<{ messages: Queued[]; gone: string[] }> {
  const rows: {
    queued: string;
    id: string | null;
    conversation_id: string;
    role: string;
    text: string;
    version: string;
  }[] = await sql.unsafe(
    `select q.message_id as queued, m.id, m.conversation_id, m.role, left(m.content, ${SAID_CHARACTERS}) as text,
          m.xmin::text as version
        from (
          select message_id, created_at from dewey_meaning_queue where message_id <> all ($1::uuid[])
          order by created_at desc limit ${limit}
        ) as q left join messages m on m.id = q.message_id and ${IS_EMBEDDED} order by q.created_at desc`,
    [sql.array(but, "UUID")],
  );
  const messages: Queued[] = [];
  const gone: string[] = [];
  for (const { queued, id, ...row } of rows) {
    if (id === null) gone.push(queued);
    else messages.push({ id, ...row, passages: passagesOf(row.text, row.role) });
  }
  return { messages, gone };
}

/**
 * Keeps the vectors of messages and takes these, and those that need none, from the queue, in one transaction: a message is
 * done when its vectors are committed. One that has changed since it was read stays in the queue, and one that another server
 * has done meanwhile is passed over. Returns the number of passages.
 */
export async function keepVectors(
  sql: TransactionSQL,
  model: Model,
  embedded: Embedded[],
  gone: string[],
): Promise<number> {
  await sql`select pg_advisory_xact_lock(${MEANING_LOCK})`;
  const ids = sql.array(
    embedded.map(({ id }) => id),
    "UUID",
  );
  const versions = sql.array(
    embedded.map(({ version }) => version),
    "TEXT",
  );
  const done: { id: string }[] = await sql`
    with same as materialized (
      select m.id from unnest(${ids}::uuid[], ${versions}::text[]) as g (id, version)
      join messages m on m.id = g.id and m.xmin::text = g.version
      where (select model from dewey_meaning) = ${model.id}::uuid for key share of m
    )
    delete from dewey_meaning_queue q using same where q.message_id = same.id returning q.message_id as id`;
  if (gone.length > 0)
    await sql.unsafe(
      `delete from dewey_meaning_queue q where message_id = any($1::uuid[])
        and not exists (select from messages m where m.id = q.message_id and ${IS_EMBEDDED})`,
      [sql.array(gone, "UUID")],
    );
  const kept = new Set(done.map(({ id }) => id));
  const rows = embedded.filter(({ id }) => kept.has(id)).flatMap(rowsOf);
  if (rows.length === 0) return 0;
  // One that was queued again has some.
  await sql`delete from dewey_meaning_passages
    where model = ${model.id}::uuid and message_id = any(${sql.array([...kept], "UUID")}::uuid[])`;
  await insert(sql, model, rows);
  return rows.length;
}

interface Row extends Passage {
  message: string;
  conversation: string;
  role: string;
  scale: number;
  signs: string;
  /** In hexadecimal: arrays of bytes are sent as text. */
  bytes: string;
}

function rowsOf({ id, conversation_id, role, passages, vectors }: Embedded): Row[] {
  return passages.flatMap((passage, index) => {
    const vector = vectors[index];
    if (!vector) return [];
    const { scale, bytes } = stored(vector);
    const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
    const place = { ...passage, message: id, conversation: conversation_id, role };
    return [{ ...place, scale, signs: signText(vector), bytes: hex }];
  });
}

async function insert(sql: TransactionSQL, model: Model, rows: Row[]): Promise<void> {
  const column = <Key extends keyof Row>(key: Key) => rows.map((row) => row[key]);
  await sql`
    insert into dewey_meaning_passages (model, message_id, conversation_id, role, starts_at, ends_at, scale, signs, bytes)
    select ${model.id}::uuid, message, conversation, role, starts_at, ends_at, scale, signs::bit varying,
      decode(bytes, 'hex')
    from unnest(
      ${sql.array(column("message"), "UUID")}::uuid[], ${sql.array(column("conversation"), "UUID")}::uuid[],
      ${sql.array(column("role"), "TEXT")}::text[],
      ${sql.array(column("start"), "INTEGER")}::integer[], ${sql.array(column("end"), "INTEGER")}::integer[],
      ${sql.array(column("scale"), "DOUBLE PRECISION")}::float8[], ${sql.array(column("signs"), "TEXT")}::text[],
      ${sql.array(column("bytes"), "TEXT")}::text[]
    ) as g (message, conversation, role, starts_at, ends_at, scale, signs, bytes)`;
}
