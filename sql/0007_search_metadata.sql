-- One index over words and metadata: a search for a common word within one tool meets only the messages that are both.
-- Measured at a million messages: 6 ms, where the bitmaps of two indexes take 90 and a look at each row 400.
drop index messages_search;
create index messages_search on messages using gin (search, metadata jsonb_path_ops);

-- Every candidate's words are looked at and few contents are read, so in a long message the content moves out of the row
-- before the words do.
alter table messages alter column search set storage main;
