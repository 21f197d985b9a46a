-- The language whose word forms search knows: a text search configuration of PostgreSQL's. There is one row.
create table dewey_search_language (
  is_only boolean primary key default true check (is_only),
  -- What the words of new messages are made in, and those in which some earlier ones may still be, while a change is under
  -- way. All of them are searched, so that nothing is ever unfindable.
  language text not null,
  earlier text[] not null default '{}',
  -- Of the walk that makes the words of all messages anew: since when it is under way, the id up to which it has come, how
  -- many messages that were, and how many there are about. Whoever goes on with it begins there.
  started_at timestamptz,
  walked_to uuid,
  walked bigint not null default 0,
  total bigint not null default 0
);
insert into dewey_search_language (language) values ('english');

-- Makes the words of messages in a language from now on. It is written into the function as a constant, since to look it
-- up would cost every message; PostgreSQL plans anew what has the function in its plan.
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
