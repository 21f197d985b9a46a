-- New words go to the GIN pending list, and the insert that exceeds the list's limit flushes it: a quarter of a second, for
-- which its whole group of callers waited. The server now flushes it in the background, at a quarter of this limit. The
-- limit itself applies when the server does not keep up, and to inserts that bypass it.
alter index messages_search set (gin_pending_list_limit = 16384);
