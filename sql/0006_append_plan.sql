-- The same function as in 0002, planned once per connection instead of at every call, which took two thirds of the time of
-- storing one message. A generic plan must suit any size of tables and calls, even if it was made while the tables were
-- empty. It may therefore only look rows up by their keys (the settings after the function's name), and rows are numbered in
-- the same subquery that judges them, because joining the two would take quadratic time in the size of a bulk call.
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
      ) as number
    from allowed a
  ), inserted as (
    insert into messages (id, conversation_id, turn_number, role, content, content_exact, metadata, metadata_exact,
      created_at, sent_hash, search)
    select n.id, n.conversation, n.number, n.role, n.content, n.content_exact, n.metadata::jsonb, n.metadata_exact,
      coalesce(n.time, stored_at), decode(n.hash, 'hex'), dewey_search_vector(coalesce(n.searchable, n.content))
    from numbered n
    where n.goes
  ), counted as (
    update conversations c
    set last_turn = greatest(c.last_turn, n.highest), message_count = c.message_count + n.stored
    from (
      select conversation, max(number) as highest, count(*)::integer as stored from numbered where goes
      group by conversation
    ) n
    where c.id = n.conversation
  )
  select n.outcome, n.id, case when n.goes then n.number else n.known_turn end,
    case when n.goes then coalesce(n.time, stored_at) else n.known_time end
  from numbered n
  order by n.place;
end $$;
