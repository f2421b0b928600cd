"""The HTTP service: recommendations, profiles, feedback. Nothing imports it but the command that starts it."""
