-- A search reads the passages of one model, also while those of another are made beside them by the million; so do the removal
-- of earlier models and the highest id that a search sees.
alter table dewey_meaning_passages drop constraint dewey_meaning_passages_pkey, add primary key (model, id);

-- The message's role, so that a filter by role chooses among signs in memory. Earlier passages lack it: they are tried with
-- any role, and their messages tell.
alter table dewey_meaning_passages add column role text;
