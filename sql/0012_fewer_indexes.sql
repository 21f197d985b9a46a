-- Every message stored writes its conversation's row anew, and with it all indexes of conversations. Two indexes that come from
-- the prototype answer no statement of Dewey's: lists do not look into metadata, and messages of a conversation are read by
-- their turns. They go by what they are, since a prototype's database has names of its own for them.
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
