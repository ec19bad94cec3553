"""What people are told, by mail and webhook: the office, the operator, the visitor."""
