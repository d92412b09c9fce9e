"""One module per group of APIs; each handler turns a request into the fields of its answer."""
