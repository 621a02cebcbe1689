"""Operations that compute what several would, as standard nodes that are put beside them."""
