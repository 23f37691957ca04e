"""An existing Mephisto database made into a log."""
