-- Id of the transaction that stored a message, by which later pages of a search recognise the messages that existed at the
-- first. Existing messages have none and count as old. Adding the column and its default separately avoids rewriting
-- existing rows.
alter table messages add column stored_in bigint;
alter table messages alter column stored_in set default pg_current_xact_id()::text::bigint;
