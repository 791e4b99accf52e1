"""Django: add to settings.py. The password comes from the environment, not from the repository.

on the relay:  smarthost user add shop@example.org
try it:        python manage.py sendtestemail you@example.com
"""

import os

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = "relay.example.net"
EMAIL_PORT = 465
EMAIL_USE_SSL = True  # TLS from the first byte; with port 587 it is EMAIL_USE_TLS instead
EMAIL_HOST_USER = "shop@example.org"
EMAIL_HOST_PASSWORD = os.environ["EMAIL_HOST_PASSWORD"]
EMAIL_TIMEOUT = 30
DEFAULT_FROM_EMAIL = "Shop <shop@example.org>"
SERVER_EMAIL = "shop@example.org"
