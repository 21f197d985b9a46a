-- A search for a common word within a role that hardly occurs would look at every message with the word: the index over
-- words does not know roles. Few messages are of the system's, and the others cost nothing here. Measured at 20,000
-- messages with a word that every seventh holds: 9 blocks are read where it were 1,227. A tool's messages are too many: at a
-- million messages with 110,000 of them, an index of theirs made the same search take 200 ms instead of 130.
create index messages_of_rare_roles on messages (role) where role = 'system';
