"""Tencent UserSigs without Django: sign, verify, read (PROTOCOL.md). Needs only the standard library and cryptography."""

from usersig_django.signing.claims import Privilege, UserSigClaims
from usersig_django.signing.hmac_sha256 import HmacSha256Signer

__all__ = ["HmacSha256Signer", "Privilege", "UserSigClaims"]
