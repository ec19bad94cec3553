"""The operator's pages: who may enter, the inbox, one lead's story, gates, forms and the audit trail."""
