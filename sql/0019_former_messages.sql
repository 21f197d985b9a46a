-- Messages that builds before 0015 imported: they state what they are in metadata at most. An import finds them by it, to tell
-- them under the names of this build. It is empty in stores that began later.
create index messages_former on messages (conversation_id)
  where kind is null and metadata ->> 'source' in ('chatgpt', 'claude', 'claude-code', 'codex');
-- Conversations from before 0015 are walked once more, to mark among these messages what programs noted for themselves.
update dewey_backfill set is_done = false, walked_to = null where walked_to is not null;
