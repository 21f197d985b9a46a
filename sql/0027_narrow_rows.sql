-- A row of more than 2 kB keeps nothing but its columns of a few bytes: its content and its words lie beside the table. A search for
-- a common word reads thousands of rows for their time, length and role, of which 50 fit into a page instead of 3. Rows of less
-- than 2 kB stay as they are, with their words in them; so do those of before.
alter table messages set (toast_tuple_target = 256), alter column search set storage extended;
