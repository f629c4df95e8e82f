"""`/docs`: a service's calls, from its OpenAPI document, and the topics, from the contract."""
