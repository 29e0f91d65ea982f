"""How good the outputs are, by one fixed and named scorer each."""
