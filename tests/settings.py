"""The example project, told to run tests: other databases and caches by DATABASE_URL and CACHE_URL, as there."""

from cryptography.fernet import Fernet

from example_project.settings import *  # noqa: F403

SECRET_KEY = "tests" * 10
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = {}
TEST_SDKAPPID = 1400000001
TEST_SECRET_KEY = "0123456789abcdef" * 4
USERSIG = {
    "APPLICATIONS": {"default": {"SDKAPPID": TEST_SDKAPPID, "SECRET_KEY": TEST_SECRET_KEY}},
    "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
    "ROOM_POLICY": "example_project.rooms.room_policy",
}
