"""Small programs that use Gatepost; examples/README.md says how to run them, and the tests do."""
