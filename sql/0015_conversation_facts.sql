-- What people look for a conversation by (title, client, folder, branch), where it comes from (parent, fork), and what of its
-- messages is talk. All columns are nullable or have a constant default, so adding them rewrites no table.
--
-- `title_source` says who named it, in falling order: a person, the client, the first prompt. Titles of the fourth kind, by
-- recorded calls, are computed when they are read. `changed_at` is when messages were last stored: `created_at` and
-- `updated_at` are from now on the times of the first and the last message.
alter table conversations
  add column title text,
  add column title_source text,
  add column client text,
  add column folder text,
  add column branch text,
  add column parent_id uuid,
  add column forked_from uuid,
  add column starred boolean not null default false,
  add column changed_at timestamptz;
-- `kind` says what a message is (prompt, answer, thinking …). Bookkeeping is what a program notes for itself, and
-- `abandoned` what a conversation has turned away from; both are kept, and shown when asked for.
alter table messages
  add column kind text,
  add column bookkeeping boolean not null default false,
  add column abandoned boolean not null default false;

create index conversations_by_change on conversations (changed_at);
create index conversations_of_parent on conversations (parent_id) where parent_id is not null;
create index conversations_of_fork on conversations (forked_from) where forked_from is not null;
-- Counts by day subtract these few from what the index on the time alone says.
create index messages_bookkeeping on messages (created_at) include (conversation_id) where bookkeeping;

-- The trigger that set `updated_at` at every change. It goes by what it does, since a prototype's database has a name of its
-- own for it.
do $$
declare
  useless text;
begin
  for useless in
    select t.tgname from pg_trigger t join pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = 'conversations'::regclass and not t.tgisinternal and p.prosrc ilike '%updated_at%'
  loop
    execute format('drop trigger %I on conversations', useless);
  end loop;
end $$;

create function dewey_changed() returns trigger language plpgsql as $$
begin
  new.changed_at := now();
  return new;
end $$;
create trigger conversations_changed before update on conversations for each row
  when (new.last_turn is distinct from old.last_turn or new.message_count is distinct from old.message_count)
  execute function dewey_changed();

create function dewey_uuid(value text) returns uuid language sql immutable parallel safe as $$
  select case when value ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then value::uuid end
$$;

-- The facts that metadata states, in columns of their own; what the statement sets itself stays.
create function dewey_conversation_facts() returns trigger language plpgsql as $$
begin
  if new.title is null and btrim(new.metadata ->> 'title') <> '' then
    new.title := left(new.metadata ->> 'title', 500);
    new.title_source := 'client';
  end if;
  new.client := coalesce(new.client, new.metadata ->> 'client_name', new.metadata ->> 'source');
  new.folder := coalesce(new.folder, new.metadata ->> 'cwd');
  new.branch := coalesce(new.branch, new.metadata ->> 'branch');
  new.parent_id := coalesce(new.parent_id, dewey_uuid(new.metadata ->> 'parent_conversation_id'));
  new.forked_from := coalesce(new.forked_from, dewey_uuid(new.metadata ->> 'forked_from'));
  return new;
end $$;
create trigger conversations_facts before insert on conversations
  for each row execute function dewey_conversation_facts();

-- The beginning of a prompt as a title: one line without marks of Markdown, cut after a word where there is one.
create function dewey_prompt_title(content text) returns text language sql immutable parallel safe as $$
  select case when length(line) <= 100 then line
    else regexp_replace(left(line, 100), '\s\S{0,30}$', '') || '…' end
  from (select btrim(regexp_replace(
    regexp_replace(left(content, 1000), '^\s*#{1,6}\s|\*\*|`', '', 'g'), '\s+', ' ', 'g')) as line) as l
$$;

-- A recorded session's title: its upstream, and the tools of its first calls with their counts.
create function dewey_calls_title(conversation uuid, upstream text) returns text language sql stable parallel safe as $$
  with calls as (
    select called_tool as tool, min(turn_number) as first, count(*) as calls from (
      select called_tool, turn_number from messages where conversation_id = conversation order by turn_number limit 500
    ) as beginning
    where called_tool is not null group by called_tool order by first limit 8
  )
  select nullif(concat_ws(': ', upstream,
    (select string_agg(left(tool, 60) || ' (' || calls || ')', ', ' order by first) from calls)), '')
$$;

-- As in 0006; besides, it fills in what metadata says of a message (`kind`, `bookkeeping`, `abandoned`), counts no
-- bookkeeping, keeps the times of the first and the last message, and names a conversation after its first prompt. A message
-- without a time of its own was said now, so it is never before the beginning.
create or replace function dewey_append(
  callers integer[], conversations uuid[], ids uuid[], turns integer[], roles text[], contents text[],
  contents_exact text[], metadatas text[], metadatas_exact text[], times timestamptz[], hashes text[],
  searchables text[], follow_to_trash boolean[]
) returns table (outcome text, message_id uuid, turn_number integer, created_at timestamptz)
language plpgsql
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  stored_at timestamptz;
begin
  perform from conversations c where c.id = any (conversations) order by c.id for no key update;
  -- Taken under the locks, so that within a conversation times do not run against turns; whole milliseconds, as replies
  -- say them.
  stored_at := date_trunc('milliseconds', clock_timestamp());

  return query
  with judged as (
    select g.*, g.metadata::jsonb as facts, c.last_turn, c.title, m.turn_number as known_turn,
      m.created_at as known_time,
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
    from unnest(
      callers, conversations, ids, turns, roles, contents, contents_exact, metadatas, metadatas_exact, times, hashes,
      searchables, follow_to_trash
    ) with ordinality as g (
      caller, conversation, id, turn, role, content, content_exact, metadata, metadata_exact, time, hash, searchable,
      follows, place
    )
    left join conversations c on c.id = g.conversation and (c.deleted_at is null or g.follows)
    left join messages m on m.id = g.id
  ), allowed as (
    select j.*, j.outcome = 'stored' and j.caller not in (
        select b.caller from judged b where b.outcome in ('missing', 'conflict', 'taken')
      ) as goes
    from judged j
  ), numbered as (
    select a.*, coalesce(
        a.turn, a.last_turn + (count(*) filter (where a.goes) over (partition by a.conversation order by a.place))::integer
      ) as number,
      coalesce(a.facts -> 'bookkeeping' = 'true', false) as is_bookkeeping,
      case when a.title is null and a.role = 'user' and coalesce(a.facts ->> 'kind', 'prompt') = 'prompt'
          and not coalesce(a.facts ? 'tool' or a.facts ->> 'source' = 'proxy', false)
        then nullif(dewey_prompt_title(a.content), '') end as prompt
    from allowed a
  ), inserted as (
    insert into messages (id, conversation_id, turn_number, role, content, content_exact, metadata, metadata_exact,
      created_at, sent_hash, search, kind, bookkeeping, abandoned)
    select n.id, n.conversation, n.number, n.role, n.content, n.content_exact, n.facts, n.metadata_exact,
      coalesce(n.time, stored_at), decode(n.hash, 'hex'), dewey_search_vector(coalesce(n.searchable, n.content)),
      left(n.facts ->> 'kind', 100), n.is_bookkeeping, coalesce(n.facts -> 'abandoned' = 'true', false)
    from numbered n
    where n.goes
  ), counted as (
    update conversations c
    set last_turn = greatest(c.last_turn, n.highest), message_count = c.message_count + n.talk,
      created_at = least(c.created_at, n.first),
      updated_at = case when c.message_count = 0 then coalesce(n.last, c.updated_at)
        else greatest(c.updated_at, n.last) end,
      title = coalesce(c.title, n.prompts[1]),
      title_source = case when c.title is null and n.prompts is not null then 'prompt' else c.title_source end
    from (
      select conversation, max(number) as highest, count(*) filter (where not is_bookkeeping)::integer as talk,
        min(time) filter (where not is_bookkeeping) as first,
        max(coalesce(time, stored_at)) filter (where not is_bookkeeping) as last,
        array_agg(prompt order by place) filter (where prompt is not null) as prompts
      from numbered where goes
      group by conversation
    ) n
    where c.id = n.conversation
  )
  select n.outcome, n.id, case when n.goes then n.number else n.known_turn end,
    case when n.goes then coalesce(n.time, stored_at) else n.known_time end
  from numbered n
  order by n.place;
end $$;

-- How far the conversations from before have got their facts. The server walks them in the background; there is one row.
create table dewey_backfill (
  is_only boolean primary key default true check (is_only),
  walked_to uuid,
  is_done boolean not null
);
insert into dewey_backfill (is_done) select not exists (select from conversations);
