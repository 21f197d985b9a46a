-- New words wait in a list until they are sorted into the index, and whoever makes the list longer than its limit sorts it: a
-- quarter of a second, in which its whole group of callers waited. The server now sorts it beside them, at a quarter of this
-- limit, which is for when it does not keep up, and for words that are stored by others.
alter index messages_search set (gin_pending_list_limit = 16384);
