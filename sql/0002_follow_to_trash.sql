-- What a recorder brings late belongs to its conversation even when that is in the trash by then, or a conversation that
-- is restored would have holes. Everybody else is still told that it is not there. The function is that of the first
-- migration but for `follow_to_trash`.
drop function dewey_append(
  integer[], uuid[], uuid[], integer[], text[], text[], text[], text[], text[], timestamptz[], text[], text[]
);

-- Appends messages for several callers in one transaction, and answers for every message what became of it:
--   stored, repeated (known by its id, with the same hash), missing (no such conversation, or in the trash), conflict
--   (the id is taken by something else), taken (the turn that the caller gave is).
-- A caller with any of the last three has nothing stored; the others are not touched by that. Within one call no id may
-- come twice, and a caller that gives a turn itself is alone in its conversation: the writer sees to both.
--
-- `searchables` holds what is searched of a content where that is not the content itself. `follow_to_trash` says whether
-- a message may go into a conversation that is in the trash.
--
-- The locks are taken first, in the order of the ids, so that overlapping calls cannot wait for each other in a circle;
-- the second statement then has a view that holds everything committed before the locks were had.
create function dewey_append(
  callers integer[], conversations uuid[], ids uuid[], turns integer[], roles text[], contents text[],
  contents_exact text[], metadatas text[], metadatas_exact text[], times timestamptz[], hashes text[],
  searchables text[], follow_to_trash boolean[]
) returns table (outcome text, message_id uuid, turn_number integer, created_at timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
  stored_at timestamptz;
begin
  perform from conversations c where c.id = any (conversations) order by c.id for no key update;
  -- Taken under the locks, so that within a conversation times do not run against turns; whole milliseconds, as replies
  -- say them.
  stored_at := date_trunc('milliseconds', clock_timestamp());

  return query
  with given as (
    select * from unnest(
      callers, conversations, ids, turns, roles, contents, contents_exact, metadatas, metadatas_exact, times, hashes,
      searchables, follow_to_trash
    ) with ordinality as g (
      caller, conversation, id, turn, role, content, content_exact, metadata, metadata_exact, time, hash, searchable,
      follows, place
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
    left join conversations c on c.id = g.conversation and (c.deleted_at is null or g.follows)
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
