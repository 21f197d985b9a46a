-- The language in which messages are indexed: a text search configuration of PostgreSQL. The table has one row.
create table dewey_search_language (
  is_only boolean primary key default true check (is_only),
  -- The configuration for new messages, and those with which earlier messages may still be indexed while a rebuild is in
  -- progress. Queries use all of them, so that every message stays findable.
  language text not null,
  earlier text[] not null default '{}',
  -- Progress of the rebuild of all search vectors: when it started, the last id done, the number of messages done, and their
  -- estimated total. Any server resumes it from here.
  started_at timestamptz,
  walked_to uuid,
  walked bigint not null default 0,
  total bigint not null default 0
);
insert into dewey_search_language (language) values ('english');

-- Sets the language for new messages. It becomes a constant in the function, because a lookup would slow every insert;
-- PostgreSQL invalidates the cached plans that contain the function.
create function dewey_search_with(language regconfig) returns void language plpgsql as $$
begin
  execute format($definition$
    create or replace function dewey_labelled_words(content text) returns tsvector language sql immutable parallel safe as $body$
      select case when position(':' in left(content, 41)) > 1 and left(content, 42) ~ '^[^\n:]{1,40}:\s'
        then setweight(to_tsvector(%1$L, split_part(content, ':', 1)), 'A')
          || to_tsvector(%1$L, substr(content, position(':' in content)))
        else to_tsvector(%1$L, content)
      end
    $body$
  $definition$, language);
end $$;
select dewey_search_with('english');
