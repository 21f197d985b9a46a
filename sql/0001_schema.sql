-- The schema. A database of the prototype is upgraded in place: its tables are recognised by their names and keep their
-- rows, constraints, triggers and indexes. A fresh database gets the same tables first; then both get the rest.

create or replace function dewey_touch() returns trigger language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end $$;

do $$
begin
  if to_regclass('conversations') is null then
    create table conversations (
      id uuid primary key default gen_random_uuid(),
      session_id text,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      metadata jsonb check (metadata is null or jsonb_typeof(metadata) = 'object')
    );
    create index on conversations (session_id);
    create index on conversations (created_at desc);
    create index on conversations (updated_at desc);
    create index on conversations using gin (metadata);
    create trigger conversations_touch before update on conversations for each row execute function dewey_touch();
  end if;

  if to_regclass('messages') is null then
    create table messages (
      id uuid primary key default gen_random_uuid(),
      conversation_id uuid not null references conversations on delete cascade,
      turn_number integer not null,
      role text not null check (role in ('user', 'assistant', 'system', 'tool')),
      content text not null,
      metadata jsonb check (metadata is null or jsonb_typeof(metadata) = 'object'),
      created_at timestamptz not null default now(),
      -- Its index also serves reading a conversation in order; the prototype had a second index on the same columns.
      unique (conversation_id, turn_number)
    );
    create index on messages (created_at desc);
    create index on messages (conversation_id, created_at);
  end if;

  if to_regclass('startup_contexts') is null then
    create table startup_contexts (
      id uuid primary key default gen_random_uuid(),
      name text not null unique check (name <> ''),
      content text not null,
      is_active boolean not null default false,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create unique index on startup_contexts (is_active) where is_active;
    create trigger startup_contexts_touch before update on startup_contexts
      for each row execute function dewey_touch();
  end if;

  if to_regclass('fiedler_results') is null then
    create table fiedler_results (
      id uuid primary key default gen_random_uuid(),
      correlation_id text not null,
      model text not null,
      prompt text,
      output text not null,
      tokens_prompt integer,
      tokens_completion integer,
      duration_seconds real,
      status text check (status in ('success', 'error')),
      error_message text,
      created_at timestamptz not null default now(),
      metadata jsonb check (metadata is null or jsonb_typeof(metadata) = 'object')
    );
    create index on fiedler_results (correlation_id);
    create index on fiedler_results (model);
    create index on fiedler_results (created_at desc);
  end if;
end $$;

-- `last_turn` is the highest turn number and `message_count` the number of messages; both change under the lock of the
-- conversation's row.
-- PostgreSQL's text and jsonb cannot hold U+0000 or lone surrogates. For a value with one, the ordinary column has a
-- readable copy with U+FFFD in its place, and the `_exact` column has the JSON text, in which both are escaped.
alter table conversations
  add column last_turn integer not null default 0,
  add column message_count integer not null default 0,
  add column deleted_at timestamptz,
  add column metadata_exact text;

-- `sent_hash` distinguishes a repeated call with the same id from a conflict; only callers that pass ids need it.
alter table messages
  add column search tsvector,
  add column sent_hash bytea,
  add column content_exact text,
  add column metadata_exact text;

alter table fiedler_results
  add column conversation_id uuid references conversations on delete set null,
  add column sent_hash bytea,
  add column exact text;

-- The search vector of a content: its words, with weight A for those before a first colon, because a name there is the
-- speaker's; and the lexeme '?' if it ends with a question, because the next turn is then an answer.
create function dewey_search_words(content text) returns tsvector language sql immutable parallel safe as $$
  select case when content ~ '^[^\n:]{1,40}:\s'
      then setweight(to_tsvector('english', split_part(content, ':', 1)), 'A')
        || to_tsvector('english', substr(content, position(':' in content)))
      else to_tsvector('english', content)
    end || case when right(content, 150) ~ '\?(\s|$)' then '''?'''::tsvector else ''::tsvector end
$$;

-- to_tsvector rejects text whose lexemes take more than 1 MB. Text below `safe_bytes` always fits, because a lexeme takes at
-- most five times the bytes of its word. Longer text is halved until its beginning fits.
create function dewey_search_vector(content text) returns tsvector language plpgsql immutable parallel safe as $$
declare
  safe_bytes constant integer := 200000;
  most_characters constant integer := 1000000;
  piece text;
begin
  if octet_length(content) <= safe_bytes then
    return dewey_search_words(content);
  end if;
  piece := left(content, most_characters);
  loop
    begin
      return dewey_search_words(piece);
    exception when program_limit_exceeded then
      piece := left(piece, length(piece) / 2);
    end;
  end loop;
end $$;

-- Fills the new columns for a prototype's rows, with triggers off: an upgrade must not count as a change of a row.
alter table conversations disable trigger user;
update conversations c
  set last_turn = m.last_turn, message_count = m.message_count
  from (select conversation_id, max(turn_number) as last_turn, count(*) as message_count from messages group by 1) m
  where m.conversation_id = c.id;
alter table conversations enable trigger user;
update messages set search = dewey_search_vector(content) where search is null;

-- The stored tsvector replaces an index over to_tsvector(content), and the unique constraint's index a second one on the
-- same columns. Their names in a prototype's database are unknown, so they are found by their definitions and dropped.
do $$
declare
  useless text;
begin
  for useless in
    select indexrelid::regclass::text from pg_index
    where indrelid = 'messages'::regclass
      and (pg_get_indexdef(indexrelid) ilike '%to_tsvector%'
        or (not indisunique and pg_get_indexdef(indexrelid) like '%(conversation_id, turn_number)'))
  loop
    execute 'drop index ' || useless;
  end loop;
end $$;

create index messages_search on messages using gin (search);
create index conversations_trash on conversations (deleted_at) where deleted_at is not null;
create index fiedler_results_conversation on fiedler_results (conversation_id);

-- Appends messages for several callers in one transaction and returns an outcome for each message:
--   stored, repeated (same id and same hash), missing (no such conversation), conflict (the id belongs to something else),
--   taken (the turn number that the caller passed exists).
-- If one of a caller's messages has any of the last three, none of that caller's messages is stored; other callers are not
-- affected. Ids must be distinct within one call, and a caller that passes turn numbers must be alone in its conversation:
-- the writer ensures both.
--
-- `searchables` holds the text to index where it differs from the content.
--
-- The locks are taken first, ordered by id, so that overlapping calls cannot deadlock; the second statement's snapshot then
-- includes everything committed before the locks were acquired.
create function dewey_append(
  callers integer[], conversations uuid[], ids uuid[], turns integer[], roles text[], contents text[],
  contents_exact text[], metadatas text[], metadatas_exact text[], times timestamptz[], hashes text[],
  searchables text[]
) returns table (outcome text, message_id uuid, turn_number integer, created_at timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
  stored_at timestamptz;
begin
  perform from conversations c where c.id = any (conversations) and c.deleted_at is null
    order by c.id for no key update;
  -- Taken under the locks, so that within a conversation times do not run against turns; whole milliseconds, as replies
  -- say them.
  stored_at := date_trunc('milliseconds', clock_timestamp());

  return query
  with given as (
    select * from unnest(
      callers, conversations, ids, turns, roles, contents, contents_exact, metadatas, metadatas_exact, times, hashes,
      searchables
    ) with ordinality as g (
      caller, conversation, id, turn, role, content, content_exact, metadata, metadata_exact, time, hash, searchable,
      place
    )
  ), judged as (
    select g.*, c.last_turn, m.turn_number as known_turn, m.created_at as known_time,
      case
        when c.id is null then 'missing'
        when m.id is not null and m.conversation_id = g.conversation
          and m.sent_hash is not distinct from decode(g.hash, 'hex') then 'repeated'
        when m.id is not null then 'conflict'
        when g.turn is not null and exists (
          select from messages t where t.conversation_id = g.conversation and t.turn_number = g.turn
        ) then 'taken'
        else 'stored'
      end as outcome
    from given g
    left join conversations c on c.id = g.conversation and c.deleted_at is null
    left join messages m on m.id = g.id
  ), numbered as (
    select j.*, coalesce(j.turn, j.last_turn + (row_number() over (partition by j.conversation order by j.place))::integer) as number
    from judged j
    where j.outcome = 'stored'
      and j.caller not in (select b.caller from judged b where b.outcome in ('missing', 'conflict', 'taken'))
  ), inserted as (
    insert into messages (id, conversation_id, turn_number, role, content, content_exact, metadata, metadata_exact,
      created_at, sent_hash, search)
    select n.id, n.conversation, n.number, n.role, n.content, n.content_exact, n.metadata::jsonb, n.metadata_exact,
      coalesce(n.time, stored_at), decode(n.hash, 'hex'), dewey_search_vector(coalesce(n.searchable, n.content))
    from numbered n
    returning messages.id, messages.turn_number, messages.created_at
  ), counted as (
    update conversations c
    set last_turn = greatest(c.last_turn, n.highest), message_count = c.message_count + n.stored
    from (
      select conversation, max(number) as highest, count(*)::integer as stored from numbered group by conversation
    ) n
    where c.id = n.conversation
  )
  select j.outcome, j.id, coalesce(i.turn_number, j.known_turn), coalesce(i.created_at, j.known_time)
  from judged j
  left join inserted i on i.id = j.id
  order by j.place;
end $$;
