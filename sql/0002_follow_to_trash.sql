-- A recorder's late messages are appended to their conversation even if that is in the trash by then; otherwise a restored
-- conversation would have gaps. All other callers still get `missing`. The function is that of 0001 with `follow_to_trash`
-- added.
drop function dewey_append(
  integer[], uuid[], uuid[], integer[], text[], text[], text[], text[], text[], timestamptz[], text[], text[]
);

-- Appends messages for several callers in one transaction and returns an outcome for each message:
--   stored, repeated (same id and same hash), missing (no such conversation, or in the trash), conflict (the id belongs to
--   something else), taken (the turn number that the caller passed exists).
-- If one of a caller's messages has any of the last three, none of that caller's messages is stored; other callers are not
-- affected. Ids must be distinct within one call, and a caller that passes turn numbers must be alone in its conversation:
-- the writer ensures both.
--
-- `searchables` holds the text to index where it differs from the content. `follow_to_trash` says whether a message may be
-- appended to a conversation in the trash.
--
-- The locks are taken first, ordered by id, so that overlapping calls cannot deadlock; the second statement's snapshot then
-- includes everything committed before the locks were acquired.
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
