-- The same words as before, made in half the time: what is rare (a label, a question) is looked for in the few characters
-- where it can be, and each function is one expression, which PostgreSQL writes into the statement in place of the call.
create function dewey_labelled_words(content text) returns tsvector language sql immutable parallel safe as $$
  select case when position(':' in left(content, 41)) > 1 and left(content, 42) ~ '^[^\n:]{1,40}:\s'
    then setweight(to_tsvector('english', split_part(content, ':', 1)), 'A')
      || to_tsvector('english', substr(content, position(':' in content)))
    else to_tsvector('english', content)
  end
$$;

create or replace function dewey_search_words(content text) returns tsvector language sql immutable parallel safe as $$
  select case when position('?' in right(content, 150)) > 0 and right(content, 150) ~ '\?(\s|$)'
    then dewey_labelled_words(content) || '''?'''::tsvector
    else dewey_labelled_words(content)
  end
$$;

-- Of a content whose lexemes are too many for a tsvector, the longest beginning that fits, by halving.
create function dewey_search_beginning(content text) returns tsvector language plpgsql immutable parallel safe as $$
declare
  most_characters constant integer := 1000000;
  piece text := left(content, most_characters);
begin
  loop
    begin
      return dewey_search_words(piece);
    exception when program_limit_exceeded then
      piece := left(piece, length(piece) / 2);
    end;
  end loop;
end $$;

-- Below 200,000 bytes no text can have too many, because a lexeme takes at most five times the bytes it stands for.
create or replace function dewey_search_vector(content text) returns tsvector language sql immutable parallel safe as $$
  select case when octet_length(content) <= 200000
    then dewey_search_words(content)
    else dewey_search_beginning(content)
  end
$$;
