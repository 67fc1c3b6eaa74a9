"""The example project without its settings for development, on the database that `DATABASE_URL` names."""

import os

os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
os.environ["CACHE_URL"] = "locmemcache://"

from example_project.settings import *  # noqa: F403

DEBUG = False
SECRET_KEY = "benchmarks" * 5
ROOT_URLCONF = "benchmarks.urls"
LOGGING = {}
ALLOWED_HOSTS = ["*"]
SECURE_SSL_REDIRECT = False
DATABASES["default"]["CONN_MAX_AGE"] = 600  # noqa: F405

USERSIG = {
    "ENVIRONMENT": "benchmarks",
    # No application has this key.
    "APPLICATIONS": {"benchmarks": {"SDKAPPID": 1400000000, "SECRET_KEY": "0123456789abcdef" * 4}},
    "ENCRYPTION_KEYS": ["YmVuY2htYXJrcyBiZW5jaG1hcmtzIGJlbmNobWFya3M="],
    # The throttle counts and never refuses.
    "THROTTLE_RATE": "1000000000/day",
}
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"]}
