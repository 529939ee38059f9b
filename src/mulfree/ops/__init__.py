"""torch operations in the namespace ``mulfree``: schema, kernel, fake and both derivatives."""
