-- Lists use keyset pagination by time and id. With both in an index, a page at any depth is read in order, and no sort is
-- needed where many rows have the same time. The single-column indexes that these replace have unknown names in a
-- prototype's database, so they are found by their definitions and dropped.
do $$
declare
  useless text;
begin
  for useless in
    select indexrelid::regclass::text from pg_index
    where not indisunique and indpred is null
      and (indrelid = 'conversations'::regclass
          and pg_get_indexdef(indexrelid) ~ 'USING btree \((session_id|created_at DESC|updated_at DESC)\)$'
        or indrelid = 'fiedler_results'::regclass
          and pg_get_indexdef(indexrelid) ~ 'USING btree \((correlation_id|model|conversation_id|created_at DESC)\)$')
  loop
    execute 'drop index ' || useless;
  end loop;
end $$;

create index conversations_by_update on conversations (updated_at desc, id desc) where deleted_at is null;
create index conversations_by_begin on conversations (created_at desc, id desc) where deleted_at is null;
-- Not partial, because searches within a session also look up conversations in the trash here.
create index conversations_of_session_by_update on conversations (session_id, updated_at desc, id desc);
create index conversations_of_session_by_begin on conversations (session_id, created_at desc, id desc)
  where deleted_at is null;

create index fiedler_results_by_time on fiedler_results (created_at desc, id desc);
create index fiedler_results_of_correlation on fiedler_results (correlation_id, created_at desc, id desc);
create index fiedler_results_of_model on fiedler_results (model, created_at desc, id desc);
create index fiedler_results_of_status on fiedler_results (status, created_at desc, id desc);
create index fiedler_results_of_conversation on fiedler_results (conversation_id, created_at desc, id desc);
