-- A search for a common word within a rare role would read every message with the word, because the index over words does
-- not cover roles. System messages are few, and messages of other roles are not in this index. Measured at 20,000 messages
-- with a word in every seventh: 9 blocks are read instead of 1,227. Tool messages are too many: at a million messages with
-- 110,000 of them, an index that included them made the same search take 200 ms instead of 130.
create index messages_of_rare_roles on messages (role) where role = 'system';
