"""Recommenders behind one contract, `ml.models.recommender.Recommender`."""
