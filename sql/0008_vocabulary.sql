-- The words of all messages, to which mistyped words of a search are corrected. One server at a time reads them from the
-- messages' tsvectors, block by block, in the background, so no insert waits for it.
create table dewey_vocabulary (
  word text primary key,
  -- The last pass over all messages that saw the word; words that a complete pass did not see are deleted.
  pass integer not null
);

create table dewey_vocabulary_progress (
  pass integer not null,
  -- The first block of `messages` that the pass has not read.
  next_block bigint not null,
  started_at timestamptz not null default now()
);
insert into dewey_vocabulary_progress (pass, next_block) values (1, 0);
