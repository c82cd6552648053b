"""Who is told of alerts, and how: the outbox decides and retries, the channels speak. No screen, no store and no rule of an alert here."""
