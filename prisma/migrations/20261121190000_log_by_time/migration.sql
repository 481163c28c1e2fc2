-- Statistics and the audit page look for a stretch of time in the log. It is in the order of time, so a summary of
-- each block is enough, and costs a writer nearly nothing.
CREATE INDEX "session_event_at_idx" ON "session_event" USING BRIN ("at");
