"""Facts about operators: arity, defaults, versions, traits, and how each opset spells them."""
