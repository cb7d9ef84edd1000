"""Scripts that let other products' own libraries emit what `manifests/metrics` reads."""
