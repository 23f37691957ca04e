"""What a plugin implements: blueprints, architects, channels, crowd providers."""
