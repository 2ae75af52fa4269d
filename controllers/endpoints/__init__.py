"""Where a Service's traffic goes: Endpoints, EndpointSlices, and slices that mirror hand-made Endpoints.

`members` decides which pods belong and how, `subsets` and `slices` lay them out, the controllers write.
"""
