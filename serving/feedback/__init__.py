"""What users tell the service: kept durably, in effect at once, and in the next refresh like any other event."""
