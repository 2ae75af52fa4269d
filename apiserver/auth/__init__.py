"""Who is calling, and may they: authentication, RBAC, the Node authorizer, impersonation and the default roles."""
