# Filled in by the install rules of the public API.
