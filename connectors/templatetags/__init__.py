"""Tags for the templates of the admin's pages."""
