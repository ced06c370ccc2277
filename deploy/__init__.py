"""The one-machine stack, container files, demo traffic: all that installs and starts the project."""
