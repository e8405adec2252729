"""What tests of applications, and of stores, are built with."""
