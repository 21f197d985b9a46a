-- Keeps every change of a startup context and its author. A context reaches each new session, so users must be able to see
-- where a sentence came from and to restore an earlier text. The history is keyed by name and outlives its context, so that
-- a deleted context can be restored too.

create table startup_context_history (
  name text not null,
  version integer not null check (version > 0),
  change text not null check (change in ('set', 'activated', 'deactivated', 'tied', 'untied', 'deleted')),
  -- The values after the change; for 'deleted', those before it.
  content text not null,
  is_active boolean not null,
  -- Set for 'tied' and 'untied'.
  folder text,
  changed_at timestamptz not null default clock_timestamp(),
  -- The author: the connection, and the client's self-reported name and version. Null where unknown.
  session text,
  client_name text,
  client_version text,
  primary key (name, version)
);

insert into startup_context_history (name, version, change, content, is_active, changed_at)
  select name, 1, 'set', content, is_active, updated_at from startup_contexts;

-- A session that starts in the folder or below it gets this context instead of the active one.
create table startup_context_folders (
  folder text primary key check (folder <> ''),
  context_id uuid not null references startup_contexts on delete cascade
);
create index on startup_context_folders (context_id);
