"""One provider a file: each turns a foreign API into `provider.Channel` and its three errors."""
