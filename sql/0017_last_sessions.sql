-- Finds the last conversations of a folder, for the digest that a new session there begins with. Conversations without a
-- folder, such as recorded calls, are not in it.
create index conversations_of_folder on conversations (folder, updated_at desc, id desc)
  where folder is not null and deleted_at is null and parent_id is null;
