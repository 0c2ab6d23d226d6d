"""HTTP to a tenant: requests, retries, rate limit, circuit breaker and connections."""
