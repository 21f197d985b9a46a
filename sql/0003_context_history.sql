-- Every change of a startup context is kept, with who made it: a context reaches each new session, so it must be
-- possible to see where a sentence came from, and to bring an earlier text back. The history is found by name and
-- outlives its context, so that a deleted one can be brought back too.

create table startup_context_history (
  name text not null,
  version integer not null check (version > 0),
  change text not null check (change in ('set', 'activated', 'deactivated', 'tied', 'untied', 'deleted')),
  -- As they were after the change, or, of a deleted context, before it.
  content text not null,
  is_active boolean not null,
  -- Of 'tied' and 'untied'.
  folder text,
  changed_at timestamptz not null default clock_timestamp(),
  -- Who: the connection, and what the client said of itself. Null where that is not known.
  session text,
  client_name text,
  client_version text,
  primary key (name, version)
);

insert into startup_context_history (name, version, change, content, is_active, changed_at)
  select name, 1, 'set', content, is_active, updated_at from startup_contexts;

-- A session that begins in the folder, or below it, gets this context instead of the active one.
create table startup_context_folders (
  folder text primary key check (folder <> ''),
  context_id uuid not null references startup_contexts on delete cascade
);
create index on startup_context_folders (context_id);
