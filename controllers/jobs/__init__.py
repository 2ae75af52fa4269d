"""Jobs: pods that run to completion.

`view` reads the state, `verdict` decides whether the Job is over, `replicas` what to start and stop, `tracking` counts each pod
once, `controller` acts. `failures` and `indexes` hold the rules of pod failure policies and completion indexes.
"""
