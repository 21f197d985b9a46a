-- Lists go on behind the last entry that was seen, by its time and its id: with both in an index a page is read in its
-- order, however deep it is, and no sort is needed where many rows have the same time. The indexes of one column that they
-- replace go by what they are, since a prototype's database has names of its own for them.
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
-- Searches within a session look conversations up here too, also those in the trash.
create index conversations_of_session_by_update on conversations (session_id, updated_at desc, id desc);
create index conversations_of_session_by_begin on conversations (session_id, created_at desc, id desc)
  where deleted_at is null;

create index fiedler_results_by_time on fiedler_results (created_at desc, id desc);
create index fiedler_results_of_correlation on fiedler_results (correlation_id, created_at desc, id desc);
create index fiedler_results_of_model on fiedler_results (model, created_at desc, id desc);
create index fiedler_results_of_status on fiedler_results (status, created_at desc, id desc);
create index fiedler_results_of_conversation on fiedler_results (conversation_id, created_at desc, id desc);
