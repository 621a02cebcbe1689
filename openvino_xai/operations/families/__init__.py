"""Operations by families: a file has their laws, rules and records."""
