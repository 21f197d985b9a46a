-- The words of long messages, in sections: a tsvector takes at most 1 MB and no positions above 16,383. The message's own vector
-- holds the words of its first section, which is here as well, so that the table alone says what a long text holds. The server
-- cuts the texts (src/store/search/sections.ts); a section has some words of the one before it, so that no phrase is lost between
-- two.
create table message_sections (
  message_id uuid not null references messages on delete cascade on update cascade,
  section integer not null,
  -- Which piece of the content it is, in code points.
  from_character integer not null,
  characters integer not null,
  search tsvector not null,
  primary key (message_id, section)
);
-- As for the messages' index: writers do not sort the list of new words.
create index message_sections_search on message_sections using gin (search) with (gin_pending_list_limit = 16384);

-- Long messages without sections: those from before, and those of servers of the version before. The server makes them in the
-- background.
create table message_sections_due (
  message_id uuid primary key references messages on delete cascade on update cascade
);
-- Whether the long messages from before are in that list.
alter table dewey_search_language add column sections_listed boolean not null default false;
update dewey_search_language set sections_listed = true where not exists (select from messages);

create function dewey_sections_due() returns trigger language plpgsql as $$
begin
  delete from message_sections where message_id = new.id;
  insert into message_sections_due (message_id) values (new.id) on conflict do nothing;
  return null;
end $$;
create trigger messages_long after insert on messages for each row
  when (octet_length(new.content) > 100000) execute function dewey_sections_due();
create trigger messages_long_changed after update of content on messages for each row
  when (old.content is distinct from new.content
    and (octet_length(old.content) > 100000 or octet_length(new.content) > 100000))
  execute function dewey_sections_due();
