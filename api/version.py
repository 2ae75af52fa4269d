"""Which Kubernetes the API is, and which Cloudlet serves it."""

KUBERNETES = "1.36.0"
CLOUDLET = "0.1.0"
GIT_VERSION = f"v{KUBERNETES}+cloudlet.{CLOUDLET}"
"""What the server's /version and a Node's `kubeletVersion` say."""
