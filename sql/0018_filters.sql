-- What lists and searches narrow by. A filter on names first finds the names that there are, by skipping from one to the
-- next in an index, and those that are meant among them; then it compares. Names are cut where an index needs it.
--
-- Storing a message updates its conversation's row and thereby all of that table's indexes, so they are B-trees of few
-- distinct values, and the words of titles, which change rarely, have a table of their own.
drop index conversations_of_folder;
create index conversations_of_folder on conversations (folder, updated_at desc, id desc) where folder is not null;
create index conversations_of_client on conversations (left(client, 200), updated_at desc, id desc)
  where left(client, 200) is not null;
create index conversations_of_branch on conversations (left(branch, 200)) where left(branch, 200) is not null;
create index conversations_of_upstream on conversations (left(metadata ->> 'upstream', 200))
  where left(metadata ->> 'upstream', 200) is not null;

create index messages_of_tool on messages (left(metadata ->> 'tool', 200), conversation_id)
  where left(metadata ->> 'tool', 200) is not null;
create index messages_of_kind on messages (kind, conversation_id) where kind is not null;
create index messages_failed on messages (conversation_id) where metadata @> '{"outcome": "error"}';

-- The words of a title, in small letters, without signs.
create function dewey_title_words(title text) returns text[] language sql immutable parallel safe as $$
  select array(select distinct word from regexp_split_to_table(lower(left(title, 1000)), '[\s!-/:-@\[-`{-~]+') as word
    where word <> '')
$$;

create table conversation_titles (
  conversation_id uuid primary key references conversations on delete cascade,
  words tsvector not null
);
create index conversation_titles_words on conversation_titles using gin (words);

create function dewey_keep_title() returns trigger language plpgsql as $$
begin
  insert into conversation_titles (conversation_id, words) values (new.id, array_to_tsvector(dewey_title_words(new.title)))
    on conflict (conversation_id) do update set words = excluded.words;
  return null;
end $$;
create trigger conversations_titled after insert on conversations for each row
  when (new.title is not null) execute function dewey_keep_title();
create trigger conversations_retitled after update on conversations for each row
  when (new.title is distinct from old.title and new.title is not null) execute function dewey_keep_title();

insert into conversation_titles (conversation_id, words)
  select id, array_to_tsvector(dewey_title_words(title)) from conversations where title is not null;
