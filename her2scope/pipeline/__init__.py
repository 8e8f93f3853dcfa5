"""From a camera's frames to a case: mailbox, threads, analysis of one field, the case session."""
