-- What is counted of tools' calls, beside the row's own columns and in an index of its own: to read it from metadata, which
-- lies apart when it is large, and anew for each field, took five seconds at 16,000 calls. The database fills it in, whoever
-- stores, and each expression takes anything that metadata may hold. Once, the table is written anew for it: a million
-- messages took a minute and a half beside other work.
alter table messages
  add column called_tool text generated always as (
    case when metadata ? 'outcome' then left(metadata ->> 'tool', 200) end
  ) stored,
  add column call_failed boolean generated always as (
    case when metadata ? 'tool' then (metadata ->> 'outcome') <> 'success' end
  ) stored,
  add column call_ms float8 generated always as (
    case when metadata ? 'tool' and jsonb_typeof(metadata -> 'duration_ms') = 'number'
      then round(least(greatest((metadata -> 'duration_ms')::numeric, 0), 1e12), 3)::float8 end
  ) stored;
create index messages_calls on messages (created_at) include (conversation_id, called_tool, call_failed, call_ms)
  where called_tool is not null and call_failed is not null;
