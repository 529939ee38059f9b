"""The law: what every operation returns, bit by bit (see ``docs/spec.md``)."""
