"""What the object stores share below the backends, on obstore."""
