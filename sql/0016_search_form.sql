-- Contents are written in another form for the parser of PostgreSQL, so all search vectors are rebuilt in the background, as
-- at a change of the language. Until that is done, some messages may have words of the earlier form, and queries are read in
-- both forms.
alter table dewey_search_language add column earlier_form boolean not null default false;
update dewey_search_language set earlier_form = true, started_at = clock_timestamp(), walked_to = null, walked = 0,
  total = (select coalesce(sum(message_count), 0) from conversations)
  where exists (select from messages);
