"""Pictures of drawn images."""
