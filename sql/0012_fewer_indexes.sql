-- Storing a message updates its conversation's row and thereby all indexes of conversations. Two of the prototype's indexes
-- serve no statement of Dewey: lists do not filter by metadata, and messages of a conversation are read by their turns.
-- Their names in a prototype's database are unknown, so they are found by their definitions and dropped.
do $$
declare
  useless text;
begin
  for useless in
    select indexrelid::regclass::text from pg_index
    where not indisunique and indpred is null
      and (indrelid = 'conversations'::regclass and pg_get_indexdef(indexrelid) ~ 'USING gin \(metadata[^,]*\)$'
        or indrelid = 'messages'::regclass
          and pg_get_indexdef(indexrelid) ~ 'USING btree \(conversation_id, created_at\)$')
  loop
    execute 'drop index ' || useless;
  end loop;
end $$;
