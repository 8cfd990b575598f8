"""Programs that take the detector's stream, on this machine or another: they need neither the SDK nor the server."""
