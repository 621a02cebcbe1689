"""A local page that shows at once whether a model looks at the right thing, and whether it is fed rightly."""
