"""Applications and keys in the database, made as an operator would: the instance is built, then saved."""

from usersig_django.models import Application, SigningKey

SDKAPPID = 1400000123
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
OTHER_KEY = "a1" * 32


def make_application(environment="production", **fields):
    return Application.objects.create(environment=environment, sdkappid=fields.pop("sdkappid", SDKAPPID), **fields)


def make_key(application, secret=KEY, *, active=False, **fields):
    key = SigningKey(application=application, secret=secret, **fields)
    key.save()
    if active:
        key.activate()
    return key


def ciphertext(key):
    return SigningKey.objects.values_list("secret", flat=True).get(pk=key.pk)


def move_ciphertext(source, target):
    """What somebody with the database and without the encryption key can do."""
    SigningKey.objects.filter(pk=target.pk).update(secret=ciphertext(source))
