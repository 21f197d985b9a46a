-- Who did what: deletions, restorations, renames, changes of contexts, sign-ins, refused requests, backups. Never contents.
-- `count` is how many requests alike a refusal stands for. The ids are of version 7, so they sort by time.
--
-- An earlier server that recovers a backup does not know this table and leaves it, so it may exist.
create table if not exists dewey_audit (
  id uuid primary key,
  at timestamptz not null,
  action text not null,
  outcome text not null,
  target text,
  client_name text,
  client_version text,
  session text,
  address text,
  count integer not null default 1
);
create index if not exists dewey_audit_actions on dewey_audit (action, id);
