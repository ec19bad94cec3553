"""From the outbox to the CRM."""
