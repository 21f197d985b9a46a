-- The number of the transaction that stored a message: with it, a later page of a search knows what was there at the
-- first. Messages from before have none, and count as old. Two steps, because a default for the rows that are there would
-- write each of them anew.
alter table messages add column stored_in bigint;
alter table messages alter column stored_in set default pg_current_xact_id()::text::bigint;
