"""StatefulSets: pods with a name, an order and claims of their own.

`identity` says what each pod and claim looks like, `plan` what to do next, `claims` keeps the volume claims, `controller` acts.
"""
