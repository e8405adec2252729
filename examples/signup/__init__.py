"""A sign-up form whose welcome mail is sent in the background: copy from here."""
