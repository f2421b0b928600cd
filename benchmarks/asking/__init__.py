"""Free-text questions with known answers, and catalogues from which those answers were taken out."""
