"""The command `ovxai`: arguments in, text out. Nothing else in the package prints."""
