"""The service's routes, a file per kind of question; what they answer is computed elsewhere."""
