-- Vectors of what messages mean, made by an embeddings endpoint. The server uses these tables only when one is configured.
--
-- Backups leave all of it out: it is made from the messages, and made anew after a recovery. So models have random keys,
-- which servers keep in memory: those of before a recovery must not be taken for those after it.
create table dewey_meaning_models (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  dimensions integer not null check (dimensions > 0),
  -- What stands before each passage, which changes the vectors, and before each query.
  document_prefix text not null,
  query_prefix text not null,
  -- Whether every message that was to be embedded once had its vectors. Queries are asked of the latest such model.
  completed_at timestamptz,
  unique (name, dimensions, document_prefix)
);

-- Which model is embedded, which server does it, and the snapshot until which new messages are in the queue.
create table dewey_meaning (
  is_only boolean primary key default true check (is_only),
  model uuid references dewey_meaning_models on delete set null,
  seen text,
  holder uuid,
  held_until timestamptz
);
insert into dewey_meaning default values;

-- One row for each passage. Ids rise in the order of commits, because one transaction at a time assigns them: so a reader
-- that has seen an id has seen all before it. A vector is `bytes * scale`, one signed byte a dimension; `signs` has a bit for
-- each of the first dimensions, 1 where the vector is positive.
create table dewey_meaning_passages (
  id bigint generated always as identity primary key,
  model uuid not null references dewey_meaning_models on delete cascade,
  message_id uuid not null references messages on delete cascade on update cascade,
  conversation_id uuid not null,
  -- UTF-16 positions in the content.
  starts_at integer not null,
  ends_at integer not null,
  scale real not null,
  signs bit varying not null,
  bytes bytea not null
);
create index dewey_meaning_passages_of_message on dewey_meaning_passages (message_id);
-- Vectors do not compress, and trying to takes as long as storing them.
alter table dewey_meaning_passages alter column bytes set storage external, alter column signs set storage external;

-- Messages whose vectors are still to be made. Without a foreign key, whose check would write into every message's row: a
-- message that is gone is passed over.
create table dewey_meaning_queue (
  message_id uuid primary key,
  created_at timestamptz not null
);
create index dewey_meaning_queue_newest on dewey_meaning_queue (created_at desc);

-- A message that says something else, or has another id, needs other vectors.
create function dewey_meaning_changed() returns trigger language plpgsql as $$
begin
  delete from dewey_meaning_passages where message_id in (old.id, new.id);
  insert into dewey_meaning_queue (message_id, created_at)
    select new.id, new.created_at from dewey_meaning where model is not null
    on conflict do nothing;
  return null;
end $$;
create trigger messages_mean_otherwise after update of id, content, role, bookkeeping on messages for each row
  when (old.id is distinct from new.id or old.content is distinct from new.content or old.role is distinct from new.role
    or old.bookkeeping is distinct from new.bookkeeping)
  execute function dewey_meaning_changed();
