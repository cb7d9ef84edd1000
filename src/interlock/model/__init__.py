"""The API group interlock.dev/v1alpha1 as pydantic data; the CRDs are generated from here."""
