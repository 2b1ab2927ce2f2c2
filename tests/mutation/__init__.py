"""Mutants of the modules that decide a deletion or an answer: changes that their tests must notice."""
