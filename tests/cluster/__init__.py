"""Stories on a real API server. A package, so that its landscape ends with it (scope `package`)."""
