-- Makes the words of texts before they are stored, so that one connection makes those of a part of an import while another
-- stores the part before it. They wait in a cursor of the caller's transaction. The lock tells a change of the language that
-- words of the earlier one are under way.
create function dewey_make_words(words refcursor, contents text[], searchables text[]) returns void language plpgsql
set plan_cache_mode = force_generic_plan
as $$
begin
  lock table messages in row exclusive mode;
  open words scroll for
    select array_agg(dewey_search_vector(coalesce(g.searchable, g.content)) order by g.place)
    from unnest(contents, searchables) with ordinality as g (content, searchable, place);
  move forward 1 from words;
end $$;

-- As in 0015; besides, it takes the words that `dewey_make_words` has made, if there are any.
create function dewey_append(
  callers integer[], conversations uuid[], ids uuid[], turns integer[], roles text[], contents text[],
  contents_exact text[], metadatas text[], metadatas_exact text[], times timestamptz[], hashes text[],
  searchables text[], follow_to_trash boolean[], words refcursor
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
  vectors tsvector[];
begin
  if words is not null then
    fetch absolute 1 from words into vectors;
  end if;
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
      coalesce(n.time, stored_at), decode(n.hash, 'hex'),
      coalesce(vectors[n.place::integer], dewey_search_vector(coalesce(n.searchable, n.content))),
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

-- For servers of the version before.
create or replace function dewey_append(
  callers integer[], conversations uuid[], ids uuid[], turns integer[], roles text[], contents text[],
  contents_exact text[], metadatas text[], metadatas_exact text[], times timestamptz[], hashes text[],
  searchables text[], follow_to_trash boolean[]
) returns table (outcome text, message_id uuid, turn_number integer, created_at timestamptz)
language sql
as $$
  select * from dewey_append(callers, conversations, ids, turns, roles, contents, contents_exact, metadatas, metadatas_exact,
    times, hashes, searchables, follow_to_trash, null)
$$;
