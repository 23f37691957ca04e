"""Parts of pages that are written by the code they are about."""
