"""Tencent UserSigs without Django: sign, verify, read. Needs the standard library and cryptography, nothing else."""

from usersig_django.signing.claims import PrivateMapKeyClaims, Privilege, UserSigClaims
from usersig_django.signing.ecdsa_sha256 import EcdsaSha256Signer, EcdsaSha256Verifier
from usersig_django.signing.hmac_sha256 import HmacSha256Signer
from usersig_django.signing.reading import decode

__all__ = [
    "EcdsaSha256Signer",
    "EcdsaSha256Verifier",
    "HmacSha256Signer",
    "PrivateMapKeyClaims",
    "Privilege",
    "UserSigClaims",
    "decode",
]
