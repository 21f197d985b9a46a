-- Files of other programs of which everything is stored, so that an import passes over those that are unchanged. That holds as
-- long as all conversations are there which have messages of the file.
create table imported_files (
  -- SHA-256 of the machine and the path.
  file bytea primary key check (octet_length(file) = 32),
  -- SHA-256 of the build that read the file, and of everything that it read.
  digest bytea not null check (octet_length(digest) = 32),
  conversations uuid[] not null,
  -- What an import tells of the file.
  told jsonb not null
);

create function dewey_forget_imported_files() returns trigger language plpgsql as $$
begin
  delete from imported_files where conversations && (select array_agg(id) from gone);
  return null;
end $$;
create trigger conversations_gone after delete on conversations referencing old table as gone
  for each statement execute function dewey_forget_imported_files();
