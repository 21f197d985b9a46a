-- The words that messages hold, for finding what a mistyped word of a search may have meant. One server at a time reads
-- them from the messages' tsvectors, block by block, long after the messages are stored: no insert waits for it.
create table dewey_vocabulary (
  word text primary key,
  -- The pass over all messages that saw it last: what a whole pass has not seen is gone from the messages.
  pass integer not null
);

create table dewey_vocabulary_progress (
  pass integer not null,
  -- The first block of the table of messages that the pass has not read.
  next_block bigint not null,
  started_at timestamptz not null default now()
);
insert into dewey_vocabulary_progress (pass, next_block) values (1, 0);
